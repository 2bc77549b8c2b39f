import { purgeHost } from '@berth/runtime'

/** Runs inside a host's network namespace: takes down everything its runtime made, whether the agent lives or not. */
const [, , root = '', runRoot = '', cgroupParent = ''] = process.argv
await purgeHost({ root, runRoot, cgroupParent, keepData: true })
