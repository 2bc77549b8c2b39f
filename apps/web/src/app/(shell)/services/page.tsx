import { ServiceList } from '../../../features/services/service-list'

export default function ServicesPage() {
  return <ServiceList />
}
