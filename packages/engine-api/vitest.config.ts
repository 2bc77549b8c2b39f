import { berthProjects } from '../../vitest.shared.js'

export default berthProjects()
