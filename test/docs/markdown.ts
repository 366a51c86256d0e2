/** What stands in a page: fenced blocks with what is said of them, links, sections. */

export interface Block {
  /** The first word after the fence: `sh`, `ts`, … */
  language: string;
  /** The words after it: `run`. */
  flags: string[];
  code: string;
  /** A comment right above: why it is not run. */
  above: string | undefined;
  /** `<!-- prints: … -->` right below. */
  prints: string | undefined;
}

export function blocksOf(markdown: string): Block[] {
  const shape =
    /(?:^<!-- (?<above>[^>]*?) -->\n+)?^```(?<language>\w+)(?<flags>[^\n]*)\n(?<code>.*?)^```\n(?:<!-- prints: (?<prints>.*?) -->)?/gms;
  return [...markdown.matchAll(shape)].map(({ groups }) => ({
    language: groups!.language!,
    flags: groups!.flags!.split(' ').filter(Boolean),
    code: groups!.code!,
    above: groups!.above,
    prints: groups!.prints,
  }));
}

/** Targets of links that stay in the repository, without those inside of code. */
export function localLinks(markdown: string): string[] {
  const prose = markdown.replace(/^```.*?^```/gms, '').replace(/`[^`\n]*`(?!\])/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, to]) => to!).filter((to) => !/^[a-z]+:/.test(to));
}

/** As GitHub makes them of headings. */
export function anchorsOf(markdown: string): string[] {
  const prose = markdown.replace(/^```.*?^```/gms, '');
  return [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** What a person would type of it, a command each: continued lines joined, split where a shell splits. */
export function commandsOf(code: string): string[][] {
  return code
    .replace(/\\\n/g, ' ')
    .replace(/'[^']*'/g, (quoted) => (/^'[\w./=-]*'$/.test(quoted) ? quoted.slice(1, -1) : 'QUOTED'))
    .replace(/"\$\w+"/g, 'VARIABLE')
    .replace(/"[^"]*"/g, 'QUOTED')
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, '$1'))
    .flatMap((line) => line.split(/&&|\|\||[|;&]|\$\(|\)/))
    .map((command) => command.trim().split(/\s+/).filter(Boolean))
    .map((words) => {
      while (words[0] && /^(export|[A-Za-z_]+=\S*)$/.test(words[0])) words.shift();
      return words;
    })
    .filter((words) => words.length > 0);
}
