import { resolve } from 'node:path';
import { App } from 'aws-cdk-lib';
import { createStacks } from './stacks.ts';

createStacks(new App({ outdir: process.env.CDK_OUTDIR ?? resolve(import.meta.dirname, 'cdk.out') }));
