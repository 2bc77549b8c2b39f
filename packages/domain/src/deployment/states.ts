/** A deployment is one release becoming real. `rolled_back` is a failure everywhere. */
export const DEPLOYMENT_STATES = [
  'rolling',
  'succeeded',
  'failed',
  'rolled_back',
  'paused',
  'superseded',
] as const
export type DeploymentState = (typeof DEPLOYMENT_STATES)[number]

export const isDeploymentOver = (state: DeploymentState): boolean => state !== 'rolling' && state !== 'paused'
