/** Markdown's tree as elements. Whatever is not known here is shown as the text that it was. */
import type { Token, Tokens } from 'marked';
import { Component, type ComponentChildren, Fragment, h } from 'preact';
import { useMemo, useRef, useState } from 'preact/hooks';
import { Icon, IconButton } from '../../icons.tsx';
import { GrowingMarkdown, parseMarkdown, safeAddress, withoutEntities } from './blocks.ts';
import { t } from './words.ts';

/** Quotes in quotes in quotes: deeper than this they are shown as they were written. */
const deepest = 24;

/** @param isGrowing more text will come */
export function Markdown({ text, isGrowing }: { text: string; isGrowing: boolean }) {
  const growing = useRef(new GrowingMarkdown());
  // At its end the text is read once more as a whole: a reference may be defined after its use.
  const tokens = useMemo(
    () => (isGrowing ? growing.current.read(text) : parseMarkdown(text)),
    [text, isGrowing],
  );
  return (
    <div class="prose">
      {tokens.map((token, index) => (
        <Block key={index} token={token} />
      ))}
    </div>
  );
}

class Block extends Component<{ token: Token }> {
  override shouldComponentUpdate({ token }: { token: Token }): boolean {
    return token !== this.props.token;
  }

  override render() {
    return node(this.props.token, 0);
  }
}

function nodes(tokens: readonly Token[] | undefined, depth: number): ComponentChildren {
  return tokens?.map((token, index) => <Fragment key={index}>{node(token, depth + 1)}</Fragment>);
}

function node(token: Token, depth: number): ComponentChildren {
  if (depth > deepest) return token.raw;
  const within = (tokens: Token[] | undefined) => nodes(tokens, depth);
  switch (token.type) {
    case 'space':
    case 'def':
      return null;
    case 'heading':
      // The page has its own first and second.
      return h(`h${Math.min(6, (token as Tokens.Heading).depth + 2)}`, null, within(token.tokens));
    case 'paragraph':
      return <p>{within(token.tokens)}</p>;
    case 'text':
      return token.tokens ? within(token.tokens) : withoutEntities((token as Tokens.Text).text);
    case 'escape':
      return (token as Tokens.Escape).text;
    case 'strong':
      return <strong>{within(token.tokens)}</strong>;
    case 'em':
      return <em>{within(token.tokens)}</em>;
    case 'del':
      return <del>{within(token.tokens)}</del>;
    case 'br':
      return <br />;
    case 'hr':
      return <hr />;
    case 'codespan':
      return <code>{(token as Tokens.Codespan).text}</code>;
    case 'code':
      return <Code text={(token as Tokens.Code).text} language={(token as Tokens.Code).lang ?? ''} />;
    case 'blockquote':
      return <blockquote>{within(token.tokens)}</blockquote>;
    case 'checkbox':
      return (token as Tokens.Checkbox).checked ? '☑ ' : '☐ ';
    case 'list':
      return <List token={token as Tokens.List} depth={depth} />;
    case 'table':
      return <Table token={token as Tokens.Table} depth={depth} />;
    case 'link':
      return <Link address={(token as Tokens.Link).href}>{within(token.tokens)}</Link>;
    case 'image':
      // Not loaded: an image's address tells its host who reads what, and when.
      return (
        <Link address={(token as Tokens.Image).href}>
          <Icon name="image" /> {(token as Tokens.Image).text}
        </Link>
      );
    default:
      return token.raw;
  }
}

function List({ token, depth }: { token: Tokens.List; depth: number }) {
  const items = token.items.map((item, index) => (
    <li key={index} class={item.task ? 'task' : undefined}>
      {nodes(item.tokens, depth)}
    </li>
  ));
  return token.ordered ? <ol start={Number(token.start) || 1}>{items}</ol> : <ul>{items}</ul>;
}

function Table({ token, depth }: { token: Tokens.Table; depth: number }) {
  const cells = (row: Tokens.TableCell[], tag: 'th' | 'td') => (
    <tr>
      {row.map((cell, index) =>
        h(tag, { key: index, class: cell.align ?? undefined }, nodes(cell.tokens, depth)),
      )}
    </tr>
  );
  return (
    // Wide ones scroll by themselves, by keyboard as well.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must take the focus
    <section class="wide" tabIndex={0} aria-label={t('table')}>
      <table>
        <thead>{cells(token.header, 'th')}</thead>
        <tbody>{token.rows.map((row) => cells(row, 'td'))}</tbody>
      </table>
    </section>
  );
}

function Link({ address, children }: { address: string; children: ComponentChildren }) {
  const href = safeAddress(address);
  if (!href) return <span title={address}>{children}</span>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

function Code({ text, language }: { text: string; language: string }) {
  return (
    <figure class="code">
      <figcaption>
        <span>{language.split(/\s/, 1)[0]}</span>
        <CopyButton text={text} />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must take the focus */}
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
    </figure>
  );
}

export function CopyButton({ text }: { text: string }) {
  const [copied, setCopied] = useState<'yes' | 'no' | undefined>();
  async function copy(): Promise<void> {
    // Absent where the page is not from a secure origin.
    const done = await navigator.clipboard?.writeText(text).then(
      () => 'yes' as const,
      () => 'no' as const,
    );
    setCopied(done ?? 'no');
    setTimeout(() => setCopied(undefined), 2_000);
  }
  const name = copied === 'yes' ? t('copied') : copied === 'no' ? t('notCopied') : t('copy');
  return (
    <IconButton
      icon={copied === 'yes' ? 'check' : copied === 'no' ? 'close' : 'copy'}
      label={name}
      onClick={copy}
    />
  );
}
