/** Every public name of every entry point is explained and has an example; so has each method of a class. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const sdk = new URL('../', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('package.json', sdk), 'utf8'));
const entries = Object.entries<{ 'huozi-source': string }>(manifest.exports).map(
  ([name, conditions]) => [name, fileURLToPath(new URL(conditions['huozi-source'], sdk))] as const,
);

const program = ts.createProgram(
  entries.map(([, file]) => file),
  {
    strict: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    skipLibCheck: true,
    types: ['node'],
  },
);
const checker = program.getTypeChecker();

const isExplained = (symbol: ts.Symbol) => symbol.getDocumentationComment(checker).length > 0;
const tags = (symbol: ts.Symbol) => symbol.getJsDocTags(checker).map(({ name }) => name);

/** What a reader of the types still has to guess. */
function gaps(symbol: ts.Symbol): string[] {
  const name = symbol.getName();
  const found: string[] = [];
  if (!isExplained(symbol)) found.push(`${name}: no description`);
  if (!tags(symbol).includes('example')) found.push(`${name}: no @example`);
  const isMethods = symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface);
  if (!isMethods) return found;
  const type = checker.getDeclaredTypeOfSymbol(symbol);
  for (const member of type.getProperties()) {
    const declaration = member.declarations?.[0];
    const isOurs = declaration?.getSourceFile().fileName.startsWith(fileURLToPath(sdk));
    const isMethod = member.flags & (ts.SymbolFlags.Method | ts.SymbolFlags.GetAccessor);
    const { name: named } = (declaration ?? {}) as { name?: ts.Node };
    const isHidden = named && (ts.isPrivateIdentifier(named) || ts.isComputedPropertyName(named));
    if (!isOurs || !isMethod || isHidden || tags(member).includes('internal')) continue;
    if (!isExplained(member)) found.push(`${name}.${member.getName()}: no description`);
    const isOfClass = symbol.flags & ts.SymbolFlags.Class;
    if (isOfClass && !tags(member).includes('example'))
      found.push(`${name}.${member.getName()}: no @example`);
  }
  return found;
}

test.each(entries)('%s', (_, file) => {
  const module = checker.getSymbolAtLocation(program.getSourceFile(file)!)!;
  const names = checker
    .getExportsOfModule(module)
    .map((symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol));
  expect(names.length).toBeGreaterThan(0);
  expect([...new Set(names)].flatMap(gaps)).toEqual([]);
});
