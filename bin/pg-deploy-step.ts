#!/usr/bin/env node
import { keepCompiledModules } from '../lib/files/code-caches.ts';

keepCompiledModules();
const { main } = await import('../lib/cli/main.ts');
const { showUncaughtErrors } = await import('../lib/cli/terminal/terminal-text.ts');

showUncaughtErrors();
process.exitCode = await main(process.argv.slice(2));
