import { killInEachState } from './kill-in-each-state.ts';
import { START_UNTIL_CHECKS } from './scenarios/whole-deploy.ts';

killInEachState([START_UNTIL_CHECKS]);
