export type { HostLayout, LabLayout } from './layout.js'
export { labLayout } from './layout.js'
