import { killInEachState } from './kill-in-each-state.ts';
import { WINDOW_BEFORE_STOP } from './scenarios/whole-deploy.ts';

killInEachState([WINDOW_BEFORE_STOP]);
