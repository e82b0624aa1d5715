import { killInEachState } from './kill-in-each-state.ts';
import { UPDATES } from './scenarios/revisions.ts';

killInEachState(UPDATES);
