import { keepYoungGenerationSmall } from './young-generation.exec.js'

// Before anything else is loaded, which would be loaded twice.
if (process.argv[2] !== 'doctor') keepYoungGenerationSmall()
const { runCommandLine } = await import('./command-line.exec.js')
await runCommandLine()
