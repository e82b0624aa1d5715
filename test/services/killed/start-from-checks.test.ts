import { killInEachState } from './kill-in-each-state.ts';
import { START_FROM_CHECKS } from './scenarios/whole-deploy.ts';

killInEachState([START_FROM_CHECKS]);
