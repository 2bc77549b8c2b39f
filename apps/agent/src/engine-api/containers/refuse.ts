import { type Fault, fault } from '@berth/core'

/** docker's 400: what was asked for cannot be, in docker's own sentence. */
export const refuse = (sentence: string): Fault => fault.invalidArgument('engine.create_invalid', sentence)

/** docker's 409: not now. */
export const refuseConflict = (sentence: string): Fault => fault.conflict('engine.state_conflict', sentence)
