import { killInEachState } from './kill-in-each-state.ts';
import { PLANS } from './scenarios/plan.ts';

killInEachState(PLANS);
