import { join } from 'node:path';
import type { ClassMethod, Node, TSInterfaceDeclaration } from '@babel/types';
import { type Documentation, documentationOf, type Exported, exportsOf, inOneLine } from './api-source.ts';

const BEGINNING = `# API

What \`import … from 'pg-deploy-step'\` offers. This file is generated from the types and their comments: \`npm run api\` writes it, and a
test fails when it is not up to date. The [guide](docs/constructs.md) explains the constructs, and
[configuration](docs/configuration.md) each option.
`;

/** In this order. */
const KINDS = [
  { title: 'Classes', types: ['ClassDeclaration'] },
  { title: 'Properties', types: ['TSInterfaceDeclaration'] },
  // The second one is a function with several signatures.
  { title: 'Functions', types: ['FunctionDeclaration', 'TSDeclareFunction'] },
  { title: 'Types', types: ['TSTypeAliasDeclaration'] },
];

/** The text of API.md. @param root folder of the repository */
export function apiText(root: string): string {
  const all = exportsOf(join(root, 'lib/index.ts'));
  const sections = KINDS.map(({ title, types }) => {
    const ofKind = all
      .filter(({ declaration }) => types.includes(declaration.type))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    return [`## ${title}`, ...ofKind.map(describe)].join('\n\n');
  });
  const unknown = all.filter(
    ({ declaration }) => !KINDS.some(({ types }) => types.includes(declaration.type)),
  );
  if (unknown.length > 0) throw new Error(`${unknown[0]?.name} is of a kind that API.md does not describe.`);
  return `${[BEGINNING.trim(), ...sections].join('\n\n')}\n`;
}

function describe(exported: Exported): string {
  const { name, declaration, documentation } = exported;
  return [
    `### ${name}`,
    documentation.text,
    ...throwsOf(documentation),
    ...bodyOf(declaration, exported.source),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function bodyOf(declaration: Node, source: string): string[] {
  switch (declaration.type) {
    case 'ClassDeclaration': {
      const members = declaration.body.body.filter((member) => isPublic(member));
      return [
        code(headOf(declaration, source)),
        table(
          ['Attribute', 'Type', 'Description'],
          members.flatMap((member) => attributeRow(member, source)),
        ),
        table(
          ['Method', 'Description'],
          members.flatMap((member) =>
            member.type === 'ClassMethod' && member.kind === 'method' ? [methodRow(member, source)] : [],
          ),
        ),
      ];
    }
    case 'TSInterfaceDeclaration':
      return [...parentsOf(declaration, source), propertyTable(declaration, source)];
    case 'FunctionDeclaration':
    case 'TSDeclareFunction':
    case 'TSTypeAliasDeclaration':
      return [code(headOf(declaration, source))];
    default:
      return [];
  }
}

/** A declaration without its body; of a class with the signature of its constructor. */
function headOf(declaration: Node, source: string): string {
  const textOf = (start: number, end: number) => source.slice(start, end).trim();
  const start = declaration.start ?? 0;
  if (declaration.type === 'TSTypeAliasDeclaration' || declaration.type === 'TSDeclareFunction')
    return textOf(start, declaration.end ?? 0);
  if (declaration.type === 'FunctionDeclaration')
    return inOneLine(textOf(start, declaration.body.start ?? 0));
  if (declaration.type !== 'ClassDeclaration') return '';
  const made = declaration.body.body.find(
    (member): member is ClassMethod => member.type === 'ClassMethod' && member.kind === 'constructor',
  );
  const head = inOneLine(textOf(start, declaration.body.start ?? 0));
  if (made === undefined) return head;
  return `${head}\n${inOneLine(textOf(made.start ?? 0, made.body.start ?? 0))}`;
}

function isPublic(member: Node): boolean {
  if (!('key' in member) || member.key === null || member.key.type === 'PrivateName') return false;
  const { accessibility, override, static: isStatic } = member as ClassMethod;
  return accessibility === undefined && override !== true && isStatic !== true;
}

function attributeRow(member: Node, source: string): string[][] {
  const type =
    member.type === 'ClassProperty'
      ? member.typeAnnotation
      : member.type === 'ClassMethod' && member.kind === 'get'
        ? member.returnType
        : undefined;
  if (type === undefined) return [];
  return [[`\`${nameOf(member, source)}\``, typeText(type, source), describeMember(documentationOf(member))]];
}

function methodRow(member: ClassMethod, source: string): string[] {
  const signature = inOneLine(source.slice(member.start ?? 0, member.body.start ?? 0)).replaceAll('|', '\\|');
  return [`\`${signature}\``, describeMember(documentationOf(member))];
}

function parentsOf({ extends: parents }: TSInterfaceDeclaration, source: string): string[] {
  if (parents == null || parents.length === 0) return [];
  return [
    `With the properties of ${parents.map((parent) => `\`${textOf(parent, source)}\``).join(' and ')}.`,
  ];
}

function propertyTable({ body }: TSInterfaceDeclaration, source: string): string {
  const rows = body.body.flatMap((member) => {
    if (member.type !== 'TSPropertySignature') return [];
    const documentation = documentationOf(member);
    const isOptional = member.optional === true;
    return [
      [
        `\`${nameOf(member, source)}\``,
        typeText(member.typeAnnotation, source),
        isOptional ? cell(documentation.default ?? 'none') : 'required',
        describeMember({ ...documentation, default: null }),
      ],
    ];
  });
  return table(['Property', 'Type', 'Default', 'Description'], rows);
}

function describeMember(documentation: Documentation): string {
  const { text, default: standard } = documentation;
  const parts = [text, ...(standard === null ? [] : [`Default: ${standard}`]), ...throwsOf(documentation)];
  return cell(parts.filter((part) => part !== '').join(' '));
}

function throwsOf({ throws }: Documentation): string[] {
  return throws.map((text) => `Throws ${text}${text.endsWith('.') ? '' : '.'}`);
}

function nameOf(member: Node, source: string): string {
  return 'key' in member && member.key != null ? textOf(member.key, source) : '';
}

/** A type without the comments in it. */
function typeText(annotation: Node | null | undefined, source: string): string {
  if (annotation == null) return '';
  const text = textOf(annotation, source).replace(/^:\s*/, '');
  return `\`${inOneLine(text.replaceAll(/\/\*[\s\S]*?\*\//g, '')).replaceAll('|', '\\|')}\``;
}

function textOf(node: Node, source: string): string {
  return source.slice(node.start ?? 0, node.end ?? 0);
}

function cell(text: string): string {
  return inOneLine(text).replaceAll('|', '\\|');
}

function code(text: string): string {
  return text === '' ? '' : `\`\`\`ts\n${text}\n\`\`\``;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
