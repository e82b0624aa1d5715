import type { Scenario } from '../kill-in-each-state.ts';

/*
 * A deploy that builds everything, in parts that test files can run side by side.
 */

export const DEPLOY_AND_BUILDS: Scenario = {
  name: 'a deploy that builds everything, in its first and last states and in its builds',
  killedIn: {
    deploy: `
      Begin, Lock Needed?, Read Lock, Prepare First Lock, Write Lock, Lock Acquired?, Lock Held, Preflight, What To Do?,
      Maintenance Window, Start Services?, Start Services, Builds Remaining?, Build Indexes Online, More To Build Online?,
      Report, Alert Needed?, Read Lock To Release, Prepare Release, Own Lock?, Release Lock, Succeeded?, Succeeded`,
    'build-indexes': `
      Plan, Anything To Build?, Build Lanes, Build Lane, Build Index, Still Building?, Index Done, Plan Again, More To Build?,
      Builds Done`,
  },
};

export const WINDOW_BEFORE_STOP: Scenario = {
  name: 'a deploy that builds everything, until it stops the services',
  killedIn: {
    'maintenance-window': `
      Begin Window, Check Services, Which Kind To Check?, Describe Service, Describe Rule, Describe Mapping, Service Usable?,
      Rule Usable?, Mapping Usable?, Record Count, Service Can Be Stopped, Has Scaling?, Describe Scaling, Scaling Found?,
      Record Scaling, Summarize Service Checks, All Services Can Be Stopped?, Begin Saving, List Saved States,
      Add Page Of Saved States, Merge Saved States, More Saved States?, Count Saved States, Saved Under Other Names?,
      Save Services, Record Current State, Save Service State, Service Saved, Any Service Renamed?, Enable Reconciler,
      Stop Services, Which Kind To Stop?, Suspend Scaling?, Disable Rule, Disable Mapping, Suspend Scaling`,
  },
};

export const WINDOW_AFTER_STOP: Scenario = {
  name: 'a deploy that builds everything, while the services stop and while they are stopped',
  killedIn: {
    'maintenance-window': `
      Stop Tasks, Begin Disabled Rule Checks, Begin Disabled Mapping Checks, Begin Stopping Checks, Check Disabled Rule,
      Check Disabled Mapping, Check Stopping Tasks, Rule Disabled?, Mapping Disabled?, Tasks Stopped?,
      Wait For Disabled Rule, Service Stopped, Wait For Disabled Mapping, List Running Tasks, No Running Task?,
      List Stopping Tasks, Any Stopping Task?, Describe Stopping Tasks, Listed Tasks Stopped?, Count Disabled Rule Check,
      Count Disabled Mapping Check, Summarize Stopped Services, All Services Stopped?, Begin Drain, Check Sessions,
      Sessions Closed?, No Sessions Left, Check Counts Before Migrations, Describe Service Before Migrations,
      Counts Still 0 Before Migrations?, Run Migrations, Migrations Applied?, Check Counts Before Builds,
      Describe Service Before Builds, Counts Still 0 Before Builds?, Build Indexes, More Indexes To Build?,
      Any Critical Index Failed?, Check Counts After Builds, Describe Service After Builds, Counts Still 0 After Builds?,
      Window Complete`,
  },
};

export const START_UNTIL_CHECKS: Scenario = {
  name: 'a deploy that builds everything, until it checks the services that it has started',
  killedIn: {
    'start-services': `
      Begin, Started As Recovery?, Start On Request, List Saved States, Add Page Of Saved States,
      Merge Saved States, More Saved States?, Start Services, Read Saved State, Saved State Readable?, Use Saved Service,
      Is Recovery?, Which Kind To Start?, Count Already Set?, Was Rule Enabled?, Was Mapping Enabled?, Start Tasks,
      Enable Rule, Service Steady, Enable Mapping, Begin Starting Checks, Begin Enabled Rule Checks, Which Kind Was Started?,
      Begin Enabled Mapping Checks, Check Starting Tasks, Check Enabled Rule, Is Service Steady?, Check Enabled Mapping`,
  },
};

export const START_FROM_CHECKS: Scenario = {
  name: 'a deploy that builds everything, from the checks of the services that it has started',
  killedIn: {
    'start-services': `
      Tasks Running?, Rule Enabled?, Read Saved State Again, Mapping Enabled?, Count Starting Check, Wait For Enabled Rule,
      Saved By Same Deploy?, Wait For Enabled Mapping, Steady Long Enough?, Delete Saved State, Wait For Tasks To Run,
      Has Incident?, Service Done, Count Enabled Rule Check, Count Enabled Mapping Check, Tasks Unchanged?,
      Count Steady Check, Resume Scaling?, Resume Scaling, Check Outcomes, Send Alert?, Record Incidents?, List Complete?,
      Anything Still Saved?, Disable Reconciler, List Remaining States, Anything Saved Meanwhile?, Services Started`,
  },
};
