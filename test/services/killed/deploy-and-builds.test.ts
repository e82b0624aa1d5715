import { killInEachState } from './kill-in-each-state.ts';
import { BUILDS } from './scenarios/builds-and-migrations.ts';
import { DEPLOY_AND_BUILDS } from './scenarios/whole-deploy.ts';

killInEachState([DEPLOY_AND_BUILDS, ...BUILDS]);
