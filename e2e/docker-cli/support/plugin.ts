/** A volume plugin that both engines find: it keeps each volume in a directory `kept/NAME` of the engine's. */
export const PLUGIN = 'keep'
