import { killInEachState } from './kill-in-each-state.ts';
import { NEXT_DEPLOY } from './scenarios/saved-states.ts';

killInEachState(NEXT_DEPLOY);
