import { matchesGlob, relative, sep } from 'node:path';
import { type LintRule, REGISTRY_RULES } from '../registry/registry-rules.ts';
import type { Finding } from './finding.ts';
import { MIGRATION_RULES } from './migrations/migration-rules.ts';

/** `off`: no finding. `warn` and `error`: a finding with this severity. */
export const SEVERITIES = ['off', 'warn', 'error'] as const;
type ConfiguredSeverity = (typeof SEVERITIES)[number];

/** The severity of a rule in some files. */
interface RuleInPaths {
  /** Files, folders or patterns such as `db/migrate/2019*`, relative to the project, with `/`. */
  readonly paths: readonly string[];
  readonly severity: ConfiguredSeverity;
}

/** The severities of rules, by name: one for all files, or some for parts of them, of which the first that matches applies. */
export type ConfiguredRules = Readonly<Record<string, ConfiguredSeverity | readonly RuleInPaths[]>>;

const RULES: Readonly<Record<string, LintRule>> = { ...MIGRATION_RULES, ...REGISTRY_RULES };

/** The rules whose severity can be configured: those that a user can accept. Synth and the deploy refuse what breaks the others. */
export const CONFIGURABLE_RULES = Object.keys(RULES).filter(
  (name) => RULES[name]?.acceptedIn !== null || name === 'unused-accept',
);

/** Why the severity of a rule cannot be configured. Null: it can. */
export function notConfigurable(rule: string): string | null {
  if (CONFIGURABLE_RULES.includes(rule)) return null;
  const why = Object.hasOwn(RULES, rule)
    ? 'the severity of this rule cannot be configured, because synth or the deploy would refuse the same'
    : 'unknown rule';
  return `${why}; rules that can be configured: ${CONFIGURABLE_RULES.join(', ')}`;
}

/** The findings with their configured severities, without those of rules that are off. */
export function withConfiguredRules(findings: readonly Finding[], rules: ConfiguredRules): Finding[] {
  return findings.flatMap((finding) => {
    const severity = severityOf(finding, rules);
    if (severity === 'off') return [];
    return severity === undefined ? [finding] : [{ ...finding, severity: NAMES[severity] }];
  });
}

/** Whether the rule of a finding is off in its file. */
export function isOff(finding: Finding, rules: ConfiguredRules): boolean {
  return severityOf(finding, rules) === 'off';
}

const NAMES = { warn: 'warning', error: 'error' } as const;

/** Undefined: nothing is configured. */
function severityOf({ rule, file }: Finding, rules: ConfiguredRules): ConfiguredSeverity | undefined {
  const configured = Object.hasOwn(rules, rule) ? rules[rule] : undefined;
  if (configured === undefined || typeof configured === 'string') return configured;
  const path = relative('', file).split(sep).join('/');
  return configured.find(({ paths }) => paths.some((pattern) => isIn(path, pattern)))?.severity;
}

function isIn(path: string, pattern: string): boolean {
  const folder = pattern.endsWith('/') ? pattern : `${pattern}/`;
  return path === pattern || path.startsWith(folder) || matchesGlob(path, pattern);
}
