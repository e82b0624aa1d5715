/*
 * The names of all states, by state machine. The definitions, the live display and the tests use these constants, so that
 * renaming a state here is enough, and removing one is a compile error.
 */

/** The states of a loop that checks until a goal is reached or its deadline has passed. */
export interface WaitNames {
  readonly begin: string;
  readonly check: string;
  readonly reached: string;
  readonly wait: string;
  readonly count: string;
}

/** The states of a check that no desired count has risen above 0. */
export interface StillStoppedNames {
  readonly check: string;
  readonly describe: string;
  readonly reached: string;
}

/** States of `deploy`. */
export const DEPLOY = {
  begin: 'Begin',
  /** States that acquire the lock. */
  lock: {
    read: 'Read Lock',
    readBefore: 'Read Lock Before',
    prepareFirst: 'Prepare First Lock',
    whose: 'Whose Lock?',
    beginChecks: 'Begin Lock Checks',
    describeHolder: 'Describe Lock Holder',
    holderUnknown: 'Lock Holder Unknown',
    hasHolderEnded: 'Lock Holder Ended?',
    wait: 'Wait For Lock',
    count: 'Count Lock Check',
    prepare: 'Prepare Lock',
    needed: 'Lock Needed?',
    notNeeded: 'No Lock Needed',
    write: 'Write Lock',
    taken: 'Lock Acquired?',
    held: 'Lock Held',
    heldByOther: 'Lock Held By Other',
    unreadable: 'Lock Unreadable',
    failed: 'Lock Failed',
  },
  /** Only if the application's own task or function is asked. */
  pending: { needed: 'Ask What Is Pending?', ask: 'Ask What Is Pending' },
  preflight: 'Preflight',
  whatToDo: 'What To Do?',
  /** Only in an environment that does not stop the services for all work. */
  applyOnline: 'Apply Online Migrations',
  onlineApplied: 'Online Migrations Applied?',
  startAfterBuilds: 'Start Services After Builds?',
  /** Only in the mode `plan`. */
  rehearseWindow: 'Rehearse Maintenance Window',
  maintenanceWindow: 'Maintenance Window',
  shouldStartServices: 'Start Services?',
  /** Only if the input names revisions, and nothing has to be stopped. */
  update: {
    startServices: 'Start Services Before Update',
    run: 'Update Revisions',
    shouldHold: 'Hold After Update?',
  },
  /** Only if the input names revisions. */
  completed: { save: 'Save Completed Deploy', shouldHold: 'Hold After Window?' },
  recordLeftStopped: 'Record Left Stopped',
  saveMarker: 'Save Left Stopped Marker',
  /** States that leave the services stopped for the deployment of the application. */
  hold: {
    /** The services that an earlier deploy stopped, if this one has nothing to do. */
    begin: 'Begin Hold Check',
    stopped: {
      list: 'List Services To Hold',
      addPage: 'Add Page Of Services To Hold',
      merge: 'Merge Services To Hold',
      morePages: 'More Services To Hold?',
      listMore: 'List More Services To Hold',
    },
    anyStopped: 'Any Service To Hold?',
    startLimit: 'Start Hold Limit',
    record: 'Record Hold',
    save: 'Save Hold Marker',
  },
  startServices: 'Start Services',
  buildsRemaining: 'Builds Remaining?',
  buildOnline: 'Build Indexes Online',
  moreToBuildOnline: 'More To Build Online?',
  report: 'Report',
  reportFailed: 'Report Failed',
  alertNeeded: 'Alert Needed?',
  alert: 'Alert',
  /** States that release the lock. */
  release: {
    read: 'Read Lock To Release',
    readBefore: 'Read Lock To Release Before',
    isOwn: 'Own Lock?',
    prepare: 'Prepare Release',
    write: 'Release Lock',
  },
  isSucceeded: 'Succeeded?',
  succeeded: 'Succeeded',
  failed: 'Failed',
} as const;

/** States of `maintenance-window` that run the migrations, whichever runner is configured. */
export const MIGRATIONS = {
  run: 'Run Migrations',
  noneConfigured: 'No Migrations Configured',
  areApplied: 'Migrations Applied?',
  recordError: 'Record Migration Error',
  hasRun: 'Migration Has Run?',
  whoseTaskRuns: 'Whose Task Still Runs?',
  earlierRuns: 'Earlier Migration Still Runs',
} as const;

/** States of `maintenance-window` and `start-services` that wait until no migration runs any more. */
export const MIGRATIONS_END = {
  stillRunning: 'Record Running Migration',
  /** A function of the application that Lambda may not have started yet. */
  functionStart: { mayBeMissing: 'Function May Start Later?', wait: 'Wait For Function Start' },
  /** A function that may still run. */
  lock: {
    begin: 'Begin Migration Check',
    check: 'Check Migrations',
    reached: 'Migrations Ended?',
    wait: 'Wait For Migrations',
    count: 'Count Migration Check',
  },
  /** A task that may still run. */
  beginTasks: 'Begin Task Check',
  findTasks: 'Find Migration Tasks',
  listTasks: 'List Migration Tasks',
  listMoreTasks: 'List More Migration Tasks',
  anyTasksListed: 'Any Tasks Listed?',
  describeTasks: 'Describe Migration Tasks',
  summarizeTasks: 'Summarize Migration Tasks',
  anyTasksFound: 'Any Migration Tasks Found?',
  tasksFound: 'Migration Tasks Found',
  noTasksFound: 'No Migration Tasks Found',
  countTasks: 'Count Migration Tasks',
  tasksStopped: 'Migration Tasks Stopped?',
  stopTasks: 'Stop Migration Tasks',
  stopTask: 'Stop Migration Task',
  stopRequested: 'Migration Task Stop Requested',
  waitForTasks: 'Wait For Migration Tasks',
  countTaskCheck: 'Count Task Check',
} as const;

/** States of `maintenance-window`, except those of a runner of migrations or of a kind of service. */
export const WINDOW = {
  begin: 'Begin Window',
  checkServices: 'Check Services',
  whichKindToCheck: 'Which Kind To Check?',
  serviceCanBeStopped: 'Service Can Be Stopped',
  serviceCannotBeStopped: 'Service Cannot Be Stopped',
  serviceNotChecked: 'Service Not Checked',
  summarizeChecks: 'Summarize Service Checks',
  allCanBeStopped: 'All Services Can Be Stopped?',
  checkAgain: 'Check Services Again',
  /** Only in a rehearsal. */
  rehearsal: {
    begin: 'Begin Rehearsal Of Saving',
    readMarker: 'Read Left Stopped Marker',
    noMarker: 'No Left Stopped Marker',
  },
  /** States that give running services another revision, if nothing has to be stopped. */
  update: {
    notRequested: 'Service Not Updated',
    all: 'Update Services',
    updated: 'Service Updated',
    late: 'Service Update Not Ended',
    failed: 'Service Update Failed',
    unchanged: 'Service Unchanged',
    ended: 'Revisions Updated',
  },
  beginSaving: 'Begin Saving',
  savedStates: {
    list: 'List Saved States',
    addPage: 'Add Page Of Saved States',
    merge: 'Merge Saved States',
    morePages: 'More Saved States?',
    listMore: 'List More Saved States',
  },
  countSavedStates: 'Count Saved States',
  anyOtherName: 'Saved Under Other Names?',
  readOthers: 'Read Other Saved States',
  readOther: 'Read Other Saved State',
  isOtherReadable: 'Other Saved State Readable?',
  otherState: 'Other Saved State',
  noOtherState: 'No Other Saved State',
  collectOthers: 'Collect Other Saved States',
  compareServices: 'Find Renamed Services',
  compareStates: 'Compare Saved States',
  isSameService: 'Same Service?',
  sameService: 'Same Service',
  differentService: 'Different Service',
  collectMatches: 'Collect Matches',
  wasRenamed: 'Service Renamed?',
  useStateOfOtherName: 'Use State Of Other Name',
  notRenamed: 'Service Not Renamed',
  saveServices: 'Save Services',
  anyRenamed: 'Any Service Renamed?',
  listRenamed: 'List Renamed Services',
  deleteRenamed: 'Delete States Of Other Names',
  deleteOther: 'Delete State Of Other Name',
  otherDeleted: 'State Of Other Name Deleted',
  serviceSaved: 'Service Saved',
  wasRaised: 'Count Raised Since?',
  /** An earlier deploy has ended its window and holds the service, which has to start on another revision. */
  dueRevision: {
    read: 'Read Earlier Completed Deploy',
    isDue: 'Earlier Deploy Completed?',
    use: 'Use Due Revision Of Earlier Deploy',
  },
  useRaisedCount: 'Use Raised Count',
  enableReconciler: 'Enable Reconciler',
  stopServices: 'Stop Services',
  recordCurrentState: 'Record Current State',
  saveState: 'Save Service State',
  readEarlierState: 'Read Earlier State',
  useEarlierState: 'Use Earlier State',
  saveEarlierState: 'Save Earlier State',
  whichKindToStop: 'Which Kind To Stop?',
  serviceStopped: 'Service Stopped',
  serviceNotStopped: 'Service Not Stopped',
  serviceStartedByOthers: 'Service Started By Others',
  serviceStopFailed: 'Service Stop Failed',
  summarizeStopped: 'Summarize Stopped Services',
  allStopped: 'All Services Stopped?',
  drain: {
    begin: 'Begin Drain',
    check: 'Check Sessions',
    reached: 'Sessions Closed?',
    wait: 'Wait For Sessions',
    count: 'Count Session Check',
  },
  noSessionsLeft: 'No Sessions Left',
  /** The desired counts stay at 0 until the window ends. */
  stillStopped: {
    beforeMigrations: {
      check: 'Check Counts Before Migrations',
      describe: 'Describe Service Before Migrations',
      reached: 'Counts Still 0 Before Migrations?',
    },
    beforeBuilds: {
      check: 'Check Counts Before Builds',
      describe: 'Describe Service Before Builds',
      reached: 'Counts Still 0 Before Builds?',
    },
    afterBuilds: {
      check: 'Check Counts After Builds',
      describe: 'Describe Service After Builds',
      reached: 'Counts Still 0 After Builds?',
    },
  },
  buildIndexes: 'Build Indexes',
  moreToBuild: 'More Indexes To Build?',
  anyCriticalFailed: 'Any Critical Index Failed?',
  verdicts: {
    rehearsed: 'Window Rehearsed',
    complete: 'Window Complete',
    servicesCannotBeStopped: 'Services Cannot Be Stopped',
    servicesNotStopped: 'Services Not Stopped',
    servicesStartedByOthers: 'Services Started By Others',
    sessionsRemain: 'Sessions Remain',
    migrationFailed: 'Migration Failed',
    criticalIndexFailed: 'Critical Index Failed',
  },
} as const;

/** States of `build-indexes`. */
export const BUILD_INDEXES = {
  plan: 'Plan',
  anythingToBuild: 'Anything To Build?',
  buildBatches: 'Build Batches',
  buildBatch: 'Build Batch',
  batchFailed: 'Batch Failed',
  buildLanes: 'Build Lanes',
  buildLane: 'Build Lane',
  buildIndex: 'Build Index',
  stillBuilding: 'Still Building?',
  waitForBuild: 'Wait For Build',
  checkIndex: 'Check Index',
  indexValid: 'Index Valid?',
  unreadableResult: 'Unreadable Result',
  settleIndex: 'Settle Index',
  indexDone: 'Index Done',
  indexSettled: 'Index Settled',
  indexNotSettled: 'Index Not Settled',
  planAgain: 'Plan Again',
  moreToBuild: 'More To Build?',
  done: 'Builds Done',
} as const;

/** The states that list the saved states of services, page by page. */
export interface ListNames {
  readonly list: string;
  readonly addPage: string;
  readonly merge: string;
  readonly morePages: string;
  readonly listMore: string;
}

/** States of `start-services` that run it as a recovery: in a child execution, one at a time. */
export const RECOVERY = {
  listStopped: 'List Stopped Services',
  isAnyStopped: 'Any Service Stopped?',
  reportStopped: 'Report Stopped Services',
  readMarker: 'Read Marker',
  leftStopped: 'Left Stopped',
  acquireLock: 'Acquire Recovery Lock',
  readLock: 'Read Recovery Lock',
  isOwnLock: 'Own Recovery Lock?',
  describeHolder: 'Describe Other Recovery',
  isHolderRunning: 'Other Recovery Running?',
  alreadyRunning: 'Other Recovery Runs',
  isHolderGone: 'Other Recovery Gone?',
  takeOverLock: 'Take Over Recovery Lock',
  waitForLock: 'Wait For Recovery Lock',
  countLockCheck: 'Count Recovery Lock Check',
  run: 'Run Recovery',
  releaseLock: 'Release Recovery Lock',
  deleteFailure: 'Delete Recorded Failure',
  recovered: 'Recovered',
  releaseLockAfterFailure: 'Release Recovery Lock After Failure',
  recordFailure: 'Record Recovery Failure',
  prepareFailureAlert: 'Prepare Failure Alert',
  failureAlert: 'Alert Of Failure',
  failed: 'Recovery Failed',
} as const;

/** States of `start-services` that limit a hold: services that a deploy has left stopped for the deployment of the application. */
export const HOLD = {
  /** An execution that waits for the limit. */
  wait: 'Wait For Hold Limit',
  readAtLimit: 'Read Marker At Hold Limit',
  isOwn: 'Own Hold?',
  hasEnded: 'Hold Has Ended',
  /** A recovery that finds a hold. */
  isHold: 'Marker Of Hold?',
  read: 'Read Hold',
  hasDeployEnded: 'Hold Of Ended Deploy?',
  describeDeploy: 'Describe Holding Deploy',
  hasDeployFailed: 'Holding Deploy Failed?',
  describeLimit: 'Describe Hold Limit',
  isLimitRunning: 'Hold Limit Running?',
  continues: 'Services Held',
  reached: 'Hold Limit Reached',
  /** A start on request. */
  shouldEnd: 'End Hold?',
  end: 'End Hold',
  /** After the start. */
  deleteMarker: 'Delete Hold Marker',
} as const;

/** States of `start-services`, except those of a recovery, a hold and a kind of service. */
export const START_SERVICES = {
  begin: 'Begin',
  startedAsRecovery: 'Started As Recovery?',
  readMarker: 'Read Marker To Delete',
  deleteMarker: 'Delete Marker',
  startOnRequest: 'Start On Request',
  startAsRecovery: 'Start As Recovery',
  savedStates: {
    list: 'List Saved States',
    addPage: 'Add Page Of Saved States',
    merge: 'Merge Saved States',
    morePages: 'More Saved States?',
    listMore: 'List More Saved States',
  },
  startServices: 'Start Services',
  readState: 'Read Saved State',
  nothingSaved: 'Nothing Saved',
  isReadable: 'Saved State Readable?',
  unreadable: 'Saved State Unreadable',
  useSavedService: 'Use Saved Service',
  findConfigured: 'Find Configured Service',
  isSameParameter: 'Same Parameter?',
  isConfigured: 'Configured Service',
  isOther: 'Other Service',
  collectConfigured: 'Collect Configured Service',
  configuredFound: 'Configured Service Found?',
  useConfigured: 'Use Configured Service',
  isRecovery: 'Is Recovery?',
  hasDeployEnded: 'End Of Deploy Reported?',
  describeDeploy: 'Describe Deploy',
  isDeployRunning: 'Deploy Running?',
  deployStillRunning: 'Deploy Still Running',
  readIncident: 'Read Incident',
  isSameIncident: 'Same Incident?',
  knownIncident: 'Known Incident',
  useCountOfIncident: 'Use Count Of Incident',
  whichKindToStart: 'Which Kind To Start?',
  unknownKind: 'Unknown Kind',
  steady: 'Service Steady',
  notSteady: 'Service Not Steady',
  whichKindStarted: 'Which Kind Was Started?',
  isSteady: 'Is Service Steady?',
  readAgain: 'Read Saved State Again',
  isSameDeploy: 'Saved By Same Deploy?',
  savedByOtherDeploy: 'Saved By Other Deploy',
  deleteState: 'Delete Saved State',
  hasIncident: 'Has Incident?',
  deleteIncident: 'Delete Incident',
  serviceDone: 'Service Done',
  serviceNotDone: 'Service Not Done',
  failed: 'Service Failed',
  checkOutcomes: 'Check Outcomes',
  shouldAlert: 'Send Alert?',
  prepareAlert: 'Prepare Alert',
  prepareAlertNotStarted: 'Prepare Alert Not Started',
  prepareAlertHeld: 'Prepare Alert Hold Ended',
  alert: 'Alert',
  alertSent: 'Alert Sent',
  shouldRecordIncidents: 'Record Incidents?',
  recordIncidents: 'Record Incidents',
  recordIncident: 'Record Incident',
  incidentRecorded: 'Incident Recorded',
  incidentNotRecorded: 'Incident Not Recorded',
  isListComplete: 'List Complete?',
  listIncomplete: 'Saved States Not Listed',
  isAnythingKept: 'Anything Still Saved?',
  disableReconciler: 'Disable Reconciler',
  listRemaining: 'List Remaining States',
  isAnythingSaved: 'Anything Saved Meanwhile?',
  enableReconciler: 'Enable Reconciler',
  started: 'Services Started',
} as const;

/** States of `maintenance-window` and `start-services` that check, stop and start an ECS service. */
export const ECS = {
  describe: 'Describe Service',
  isUsable: 'Service Usable?',
  notFound: 'Service Not Found',
  daemon: 'Service Is A Daemon',
  deploymentFailed: 'Last Deployment Failed',
  deploymentRunning: 'Deployment Still Running',
  deploymentRunningInPlan: 'Deployment Running In Plan',
  waitForDeployment: 'Wait For Deployment',
  countDeployment: 'Count Deployment Check',
  /** Only if the input can name a revision for a service. */
  revision: {
    isController: 'Revision Set By ECS?',
    otherController: 'Revision Set By Other Controller',
    describe: 'Describe Task Definition',
    notFound: 'Revision Not Found',
    record: 'Record Revision',
    isUsable: 'Revision Usable?',
    notActive: 'Revision Not Active',
    otherFamily: 'Revision Of Other Family',
    otherRoles: 'Revision With Other Roles',
  },
  recordCount: 'Record Count',
  hasScaling: 'Has Scaling?',
  describeScaling: 'Describe Scaling',
  scalingFound: 'Scaling Found?',
  scalingNotFound: 'Scaling Not Found',
  recordScaling: 'Record Scaling',
  recordScalingNotSuspended: 'Record Scaling Not Suspended',
  recordScalingUnchanged: 'Record Scaling Unchanged',
  shouldSuspendScaling: 'Suspend Scaling?',
  suspendScaling: 'Suspend Scaling',
  stop: 'Stop Tasks',
  stopped: {
    begin: 'Begin Stopping Checks',
    check: 'Check Stopping Tasks',
    reached: 'Tasks Stopped?',
    wait: 'Wait For Tasks To Stop',
    count: 'Count Stopping Check',
  },
  goneWhileStopping: 'Service Gone While Stopping',
  /** The tasks that have to stop, in pages. */
  stopping: {
    listRunning: 'List Running Tasks',
    noneRunning: 'No Running Task?',
    list: 'List Stopping Tasks',
    listMore: 'List More Stopping Tasks',
    anyListed: 'Any Stopping Task?',
    describe: 'Describe Stopping Tasks',
    reached: 'Listed Tasks Stopped?',
    wait: 'Wait For Listed Tasks',
    count: 'Count Listed Check',
  },
  isCountSet: 'Count Already Set?',
  describeHeld: 'Describe Held Service',
  isRaised: 'Held Count Raised?',
  recordRaised: 'Record Raised Count',
  isRaisedEnough: 'Raised Count Enough?',
  start: 'Start Tasks',
  /** States that start a service on another revision than the one that it has. */
  onRevision: {
    readCompleted: 'Read Completed Deploy',
    isCompleted: 'Deploy Completed?',
    use: 'Use Revision',
    useDue: 'Use Due Revision',
    isHeld: 'Held With Revision?',
    start: 'Start Tasks On Revision',
    set: 'Set Revision Of Running Tasks',
  },
  /** States that give a running service another revision. */
  update: {
    isRequested: 'Revision To Update?',
    start: 'Update Revision',
    checks: {
      begin: 'Begin Update Checks',
      check: 'Check Update',
      reached: 'Update Ended?',
      wait: 'Wait For Update',
      count: 'Count Update Check',
    },
    isRunning: 'Revision Running?',
    broken: 'Revision Not Running',
  },
  beginStarting: 'Begin Starting Checks',
  checkStarting: 'Check Starting Tasks',
  areRunning: 'Tasks Running?',
  gone: 'Service Gone',
  checkTargets: 'Check Targets',
  describeTargets: 'Describe Targets',
  countTargets: 'Count Healthy Targets',
  enoughTargets: 'Enough Healthy Targets?',
  targetsHealthy: 'Targets Healthy',
  targetsUnhealthy: 'Targets Unhealthy',
  describeOtherTargets: 'Describe Other Targets',
  countOtherTargets: 'Count Other Healthy Targets',
  enoughOtherTargets: 'Enough Other Healthy Targets?',
  summarizeTargets: 'Summarize Targets',
  areHealthy: 'All Targets Healthy?',
  areUnchanged: 'Tasks Unchanged?',
  countSteady: 'Count Steady Check',
  countFirstSteady: 'Count First Steady Check',
  countStarting: 'Count Starting Check',
  isSteadyLongEnough: 'Steady Long Enough?',
  waitForTasks: 'Wait For Tasks To Run',
  shouldResumeScaling: 'Resume Scaling?',
  resumeScaling: 'Resume Scaling',
} as const;

/** The states of a kind of service that is enabled and disabled. */
export interface SwitchNames {
  readonly describe: string;
  readonly isUsable: string;
  readonly notFound: string;
  /** It is neither enabled nor disabled. */
  readonly otherState: string;
  readonly disable: string;
  readonly disabled: WaitNames;
  readonly wasEnabled: string;
  readonly enable: string;
  readonly enabled: WaitNames;
}

/** States of `maintenance-window` and `start-services` that check, disable and enable an EventBridge rule. */
export const RULE = {
  describe: 'Describe Rule',
  isUsable: 'Rule Usable?',
  notFound: 'Rule Not Found',
  otherState: 'Rule Cannot Be Restored',
  disable: 'Disable Rule',
  disabled: {
    begin: 'Begin Disabled Rule Checks',
    check: 'Check Disabled Rule',
    reached: 'Rule Disabled?',
    wait: 'Wait For Disabled Rule',
    count: 'Count Disabled Rule Check',
  },
  wasEnabled: 'Was Rule Enabled?',
  enable: 'Enable Rule',
  enabled: {
    begin: 'Begin Enabled Rule Checks',
    check: 'Check Enabled Rule',
    reached: 'Rule Enabled?',
    wait: 'Wait For Enabled Rule',
    count: 'Count Enabled Rule Check',
  },
} as const satisfies SwitchNames;

/** States of `maintenance-window` and `start-services` that check, disable and enable an event source mapping. */
export const MAPPING = {
  describe: 'Describe Mapping',
  isUsable: 'Mapping Usable?',
  notFound: 'Mapping Not Found',
  otherState: 'Mapping Is Changing',
  disable: 'Disable Mapping',
  disabled: {
    begin: 'Begin Disabled Mapping Checks',
    check: 'Check Disabled Mapping',
    reached: 'Mapping Disabled?',
    wait: 'Wait For Disabled Mapping',
    count: 'Count Disabled Mapping Check',
  },
  wasEnabled: 'Was Mapping Enabled?',
  enable: 'Enable Mapping',
  enabled: {
    begin: 'Begin Enabled Mapping Checks',
    check: 'Check Enabled Mapping',
    reached: 'Mapping Enabled?',
    wait: 'Wait For Enabled Mapping',
    count: 'Count Enabled Mapping Check',
  },
} as const satisfies SwitchNames;

interface ScheduleNames extends SwitchNames {
  readonly runsOnce: string;
  readonly otherRole: string;
  readonly otherKey: string;
  readonly unknownFields: string;
  readonly readToDisable: string;
  readonly wasDisabled: string;
  readonly disableWithoutStart: string;
  readonly readToEnable: string;
  readonly hasEnded: string;
  readonly enableWithoutStart: string;
}

/** States of `maintenance-window` and `start-services` that check, disable and enable a schedule of EventBridge Scheduler. */
export const SCHEDULE = {
  describe: 'Describe Schedule',
  isUsable: 'Schedule Usable?',
  notFound: 'Schedule Not Found',
  otherState: 'Schedule Cannot Be Restored',
  runsOnce: 'Schedule Runs Once',
  otherRole: 'Schedule Has Other Role',
  otherKey: 'Schedule Has Other Key',
  unknownFields: 'Schedule Has Unknown Fields',
  readToDisable: 'Read Schedule To Disable',
  wasDisabled: 'Was Schedule Disabled?',
  disable: 'Disable Schedule',
  disableWithoutStart: 'Disable Schedule Without Past Start',
  disabled: {
    begin: 'Begin Disabled Schedule Checks',
    check: 'Check Disabled Schedule',
    reached: 'Schedule Disabled?',
    wait: 'Wait For Disabled Schedule',
    count: 'Count Disabled Schedule Check',
  },
  wasEnabled: 'Was Schedule Enabled?',
  readToEnable: 'Read Schedule To Enable',
  hasEnded: 'Has Schedule Ended?',
  enable: 'Enable Schedule',
  enableWithoutStart: 'Enable Schedule Without Past Start',
  enabled: {
    begin: 'Begin Enabled Schedule Checks',
    check: 'Check Enabled Schedule',
    reached: 'Schedule Enabled?',
    wait: 'Wait For Enabled Schedule',
    count: 'Count Enabled Schedule Check',
  },
} as const satisfies ScheduleNames;

/** States of `maintenance-window` and `start-services` that ask a function of the user to check, stop and start a service. */
export const CUSTOM = {
  check: 'Ask Function To Check',
  isUsable: 'Function Can Stop Service?',
  stop: 'Ask Function To Stop',
  stopped: {
    begin: 'Begin Looks At Stopping',
    check: 'Look At Stopping',
    reached: 'Look Finds It Stopped?',
    wait: 'Wait For Function To Stop',
    count: 'Count Look At Stopping',
  },
  isStopAnswered: 'Look At Stopping Understood?',
  start: 'Ask Function To Start',
  started: {
    begin: 'Begin Looks At Starting',
    check: 'Look At Starting',
    reached: 'Look Finds It Started?',
    wait: 'Wait For Function To Start',
    count: 'Count Look At Starting',
  },
  isStartAnswered: 'Look At Starting Understood?',
} as const;
