/** JSON schema's `format`s of strings, each as GBNF for the inside of the string. */
const day = '"0" [1-9] | "1" [0-9] | "2" [0-8]';
const date = `[0-9]{4} "-" (("0" [1-9] | "1" [0-2]) "-" (${day}) | ("0" [13-9] | "1" [0-2]) "-" ("29" | "30") | ("0" [13578] | "1" [02]) "-31")`;
const offset = '("Z" | [+-] ("0" [0-9] | "1" [0-4]) ":" [0-5] [0-9])';
const time = `([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})? ${offset}`;
const label = '[a-z0-9] ([a-z0-9-]{0,30} [a-z0-9])?';
const hostname = `${label} ("." ${label}){0,3}`;
const byte = '("25" [0-5] | "2" [0-4] [0-9] | "1" [0-9] [0-9] | [1-9] [0-9] | [0-9])';
const hex = '[0-9a-f]';

export const stringFormats: Record<string, string> = {
  date,
  time,
  'date-time': `${date} "T" ${time}`,
  duration: '"P" ([0-9]{1,4} "D" | "T" [0-9]{1,4} [HMS] | [0-9]{1,4} "W")',
  email: `[a-z0-9] [a-z0-9_+-]{0,30} ("." [a-z0-9_+-]{1,30}){0,2} "@" ${label} "." [a-z]{2,12}`,
  hostname,
  ipv4: `${byte} "." ${byte} "." ${byte} "." ${byte}`,
  ipv6: `${hex}{1,4} (":" ${hex}{1,4}){7}`,
  uri: `"http" "s"? "://" ${hostname} ("/" [a-zA-Z0-9_.~-]{0,60}){0,8}`,
  uuid: `${hex}{8} "-" ${hex}{4} "-" ${hex}{4} "-" ${hex}{4} "-" ${hex}{12}`,
};
