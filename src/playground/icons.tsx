/** Line icons, 24 × 24. Decoration: the button around one carries its name. */
const paths = {
  sun: 'M12 4V2m0 20v-2m8-8h2M2 12h2m13.7-5.7 1.4-1.4M4.9 19.1l1.4-1.4m0-11.4L4.9 4.9m14.2 14.2-1.4-1.4M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z',
  moon: 'M20 14.5A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5z',
  key: 'M8 11a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zm3.2 1.3L20 3.5m-5.5 5.5 3 3m-.2-5.8 2.2 2.2',
  plus: 'M12 5v14M5 12h14',
  menu: 'M4 7h16M4 12h16M4 17h16',
  close: 'M6 6l12 12M18 6 6 18',
  sliders: 'M4 7h9m4 0h3M4 17h3m4 0h9M15 5v4M9 15v4',
  copy: 'M9 9h10v11H9zM15 9V4H5v11h4',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  retry: 'M20 11a8 8 0 1 0-2.3 6.3M20 4v7h-7',
  pencil: 'M4 20h4L19 9l-4-4L4 16zM13 7l4 4',
  send: 'M12 19V5M6 11l6-6 6 6',
  stop: 'M7 7h10v10H7zm2 2h6v6H9zm2 2h2v2h-2z',
  image: 'M4 5h16v14H4zm0 11 5-5 4 4 3-3 4 4M15 9h.01',
  trash: 'M5 7h14M10 7V4h4v3m3 0-1 13H8L7 7',
  download: 'M12 4v11m-5-5 5 5 5-5M5 20h14',
  left: 'M14 6l-6 6 6 6',
  right: 'M10 6l6 6-6 6',
} as const;

type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}

interface IconButtonProps {
  icon: IconName;
  /** What those hear who do not see it. */
  label: string;
  /** What who points at it reads, where that is less. */
  hint?: string;
  look?: string;
  type?: 'button' | 'submit';
  disabled?: boolean;
  onClick?: () => void;
}

/** A button with a picture for its words. */
export function IconButton({
  icon,
  label,
  hint = label,
  look = 'quiet small',
  type = 'button',
  disabled = false,
  onClick,
}: IconButtonProps) {
  return (
    <button type={type} class={look} aria-label={label} title={hint} disabled={disabled} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}
