import { killInEachState } from './kill-in-each-state.ts';
import { REFUSED_REVISIONS, REVISIONS } from './scenarios/revisions.ts';

killInEachState([...REVISIONS, ...REFUSED_REVISIONS]);
