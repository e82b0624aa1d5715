import { resolve } from 'node:path';
import { App } from 'aws-cdk-lib';
import { writeDemoMigrations } from './demo-migrations.ts';
import { PlaygroundStack } from './playground-stack.ts';

const app = new App({ outdir: process.env.CDK_OUTDIR ?? resolve(import.meta.dirname, 'cdk.out') });
const migrations = resolve(app.outdir, 'demo-migrations');
writeDemoMigrations(migrations);
new PlaygroundStack(app, 'pg-deploy-step-playground', { migrations });
