import { killInEachState } from './kill-in-each-state.ts';
import { WINDOW_AFTER_STOP } from './scenarios/whole-deploy.ts';

killInEachState([WINDOW_AFTER_STOP]);
