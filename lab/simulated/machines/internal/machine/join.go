package machine

import "time"

// stepJoin lets control plane machines join etcd one after the other, each first as a learner, once
// the API server is up.
//
// Real machines find their peers through the Kubernetes API, so none joins before it answers. Those
// with the discovery service may be a little earlier.
func (f *Fleet) stepJoin(now time.Time) {
	cluster := f.mainCluster()
	if cluster == nil || !f.kubernetesUp || f.vipOwner() == nil {
		f.joinReadyAt = time.Time{}

		return
	}

	if f.joinReadyAt.IsZero() {
		f.joinReadyAt = now
	}

	if now.Sub(f.joinReadyAt) < f.lab.Timings.Join() {
		return
	}

	if learner := cluster.learner(); learner != nil {
		f.promote(now, learner)

		return
	}

	f.addLearner(now, cluster)
}

// promote makes a learner whose member runs a voting member.
func (f *Fleet) promote(now time.Time, member *EtcdMember) {
	node := f.byHostname[member.Hostname]
	if node == nil || !node.services["etcd"].running() || node.faults.EtcdStalls {
		return
	}

	member.Learner = false
	f.joinReadyAt = now
	node.log(now, "successfully promoted etcd member")
	f.changed()
}

// addLearner adds the first waiting machine to the cluster.
func (f *Fleet) addLearner(now time.Time, cluster *EtcdCluster) {
	for _, node := range f.nodes {
		service := node.services["etcd"]
		if service == nil || service.state != Preparing || node.disk.EtcdCluster != "" || node.faults.EtcdJoinStalls {
			continue
		}

		// A member of that name is left from before the machine was wiped.
		cluster.remove(node.Hostname)
		cluster.Members = append(cluster.Members, EtcdMember{Hostname: node.Hostname, ID: newEtcdID(), Learner: true})
		node.disk.EtcdCluster = cluster.ID
		f.joinReadyAt = now
		f.changed()

		return
	}
}

func (c *EtcdCluster) learner() *EtcdMember {
	for i := range c.Members {
		if c.Members[i].Learner {
			return &c.Members[i]
		}
	}

	return nil
}
