import { resolve } from 'node:path';
import type { Construct, IConstruct } from 'constructs';
import { compileFiles, type FilesToCompile } from '../compile/compile-files.ts';
import type { CompiledFiles } from '../compile/compiled-files.ts';
import type { Environment } from '../config/environment-config.ts';
import { pendingToolOf } from '../config/pending-config.ts';
import type { DeployStepProps } from './deploy-step-props.ts';

/** The compiled files of each app: its environments often share them. */
const compiled = new WeakMap<IConstruct, Map<string, CompiledFiles>>();

/**
 * Compiles and lints the registry and the migrations.
 * @param projectRoot paths are relative to it
 */
export function filesOf(
  construct: Construct,
  { indexes, projectRoot }: { indexes: DeployStepProps['indexes']; projectRoot: string },
  environment: Environment,
): CompiledFiles {
  const { migrations, database } = environment;
  const registry = indexes ?? environment.indexes;
  const toCompile: FilesToCompile = {
    indexes: typeof registry === 'string' ? resolve(projectRoot, registry) : registry,
    migrations: migrations.runner === 'sql' ? resolve(projectRoot, migrations.directory) : null,
    pendingTool: 'pending' in migrations ? pendingToolOf(migrations) : null,
    searchPath: database.searchPath ?? null,
    projectRoot,
    lint: true,
  };
  const ofApp = compiled.get(construct.node.root) ?? new Map<string, CompiledFiles>();
  compiled.set(construct.node.root, ofApp);
  const key = JSON.stringify(toCompile);
  const files = ofApp.get(key) ?? compileFiles(toCompile);
  ofApp.set(key, files);
  return files;
}
