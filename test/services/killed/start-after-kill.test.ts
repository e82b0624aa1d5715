import { killInEachState } from './kill-in-each-state.ts';
import { START_AFTER_KILL } from './scenarios/saved-states.ts';

killInEachState(START_AFTER_KILL);
