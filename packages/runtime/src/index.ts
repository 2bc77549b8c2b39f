export * from './api.js'
export { handedOver } from './content/handed-over.js'
export { ARCHIVE_END, type ArchiveEntry, encodeEntry, paddingOf } from './files/tar-block.js'
export { removeCgroupTree } from './host/cgroups.exec.js'
export { fitsPlatform, formatPlatform } from './images/platform.js'
export { formatReference, parseReference, type Reference } from './images/reference.js'
export { type PurgeOptions, purgeHost } from './purge.exec.js'
export { openRuntime } from './runtime.js'
export {
  decodeExport as decodeVolumeExport,
  encodeExport as encodeVolumeExport,
} from './volumes/copies/frames.js'
