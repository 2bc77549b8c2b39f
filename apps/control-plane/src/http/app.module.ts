import { type DynamicModule, Module } from '@nestjs/common'
import { Reflector } from '@nestjs/core'
import { AuthController } from '../api/auth/auth.controller.js'
import { DeploymentsController } from '../api/deployments/deployments.controller.js'
import { Deps } from '../api/deps.js'
import { NodesController } from '../api/nodes/nodes.controller.js'
import { PolicyGuard } from '../api/policy.guard.js'
import { ServicesController } from '../api/services/services.controller.js'
import { SystemController } from '../api/system/system.controller.js'
import { TasksController } from '../api/tasks/tasks.controller.js'
import { RealtimeDeps, RealtimeGateway } from '../realtime/realtime.gateway.js'

@Module({})
class AppModule {}

/** The outward half: controllers and the websocket over plain classes that are made once, outside Nest. */
export const appModule = (deps: Deps, realtime: RealtimeDeps): DynamicModule => ({
  module: AppModule,
  controllers: [
    ServicesController,
    TasksController,
    NodesController,
    DeploymentsController,
    AuthController,
    SystemController,
  ],
  providers: [
    Reflector,
    { provide: Deps, useValue: deps },
    { provide: RealtimeDeps, useValue: realtime },
    {
      provide: PolicyGuard,
      inject: [Reflector],
      useFactory: (reflector: Reflector) => new PolicyGuard(deps.auth, reflector),
    },
    RealtimeGateway,
  ],
})
