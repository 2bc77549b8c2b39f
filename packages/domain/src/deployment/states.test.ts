import { expect, test } from 'vitest'
import { DEPLOYMENT_STATES, isDeploymentOver } from './states.js'

test('a deployment that rolls or is paused is not over; every other is', () => {
  expect(DEPLOYMENT_STATES.filter((state) => !isDeploymentOver(state))).toEqual(['rolling', 'paused'])
})
