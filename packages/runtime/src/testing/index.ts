/** Test peers for this package and for those that run containers: a disposable host, hostile archives, a tiny image, a registry. */
export * from './archives.js'
export * from './child-runtime.js'
export { leftovers } from './leftovers.js'
export * from './open-test-runtime.js'
export * from './tar-of.js'
export * from './test-registry.js'
export * from './tiny-image.js'
export { until } from './until.js'
