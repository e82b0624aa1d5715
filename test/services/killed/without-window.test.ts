import { killInEachState } from './kill-in-each-state.ts';
import { WITHOUT_WINDOW } from './scenarios/without-window.ts';

killInEachState(WITHOUT_WINDOW, { online: true });
