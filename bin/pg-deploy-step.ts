#!/usr/bin/env node
import { main } from '../lib/cli/main.ts';
import { showUncaughtErrors } from '../lib/cli/terminal/terminal-text.ts';

showUncaughtErrors();
process.exitCode = await main(process.argv.slice(2));
