package roster

import "slices"

// The second pass: all Admits, and what plain members do, in order of (depth, hash).

func (f *fold) plain(n *node) {
	r := f.acts[n.index] // set for a host's Admit in the first pass
	host := r != noRank
	if !host {
		r = plainRank
	}
	if v := f.judgePlain(n, r, host); v != NotVoid {
		f.void[n.index], f.acts[n.index] = v, noRank
		return
	}
	f.effect(n, r)
}

func (f *fold) judgePlain(n *node, r rank, host bool) Void {
	p, b := f.author[n.index], &n.op.Body
	if b.Resume != nil {
		return f.judgeResume(p, n)
	}
	if !host && !f.standing(p, n) {
		return VoidNotIn
	}
	if v := f.silenced(n); v != NotVoid {
		return v
	}
	switch {
	case b.Invite != nil && f.mayAdmit(p, n, host):
		return NotVoid
	case b.Admit != nil && f.mayAdmit(p, n, host):
		return f.judgeAdmit(n, r)
	}
	return VoidNoRight
}

// judgeResume decides a Resume by somebody without a tenure (ROS-16).
func (f *fold) judgeResume(p *person, n *node) Void {
	if n.repeats && !f.off.repeatedKeys {
		return VoidRepeatedKey
	}
	for tip := range tips(p.intros, n, nil) {
		if !f.hasLeft(tip, n) {
			if f.putOut(p, n, n) {
				return VoidRemoved
			}
			return NotVoid
		}
	}
	return VoidNotIn
}

// standing says whether n's incarnation is on the roster for n: introduced in its past, not put out (ROS-12).
func (f *fold) standing(p *person, n *node) bool {
	return slices.ContainsFunc(p.intros, func(i *node) bool {
		return i.bringsHash == n.op.Author && before(i, n) && !f.putOut(p, n, i)
	})
}

// putOut says whether a removal puts out what n does by way of introduction i (which is n itself for a Resume).
func (f *fold) putOut(p *person, n, i *node) bool {
	return !f.off.removal && slices.ContainsFunc(p.removes, func(c *node) bool { return !before(n, c) && !f.readmits(p, n, i, c) })
}

// readmits says whether introduction i undoes removal c for operation n; for the present if n is nil (ROS-11).
func (f *fold) readmits(p *person, n, i, c *node) bool {
	if i.op.Body.Admit != nil && f.admits(i, c) {
		return true
	}
	resume := i.op.Body.Resume != nil
	for _, g := range slices.Backward(p.grants) {
		if (g.names == i && (n == nil || before(g, n)) || resume && before(g, i)) && f.covers(g, c) {
			return true
		}
	}
	if resume {
		for _, j := range slices.Backward(p.intros) {
			if j.op.Body.Admit != nil && before(j, i) && f.admits(j, c) {
				return true
			}
		}
	}
	return false
}

// admits says whether an Admit re-admits after removal c. One that counts only because a SetRole names it doesn't.
func (f *fold) admits(a, c *node) bool {
	return f.void[a.index] == NotVoid && f.admitCovers(a, f.acts[a.index], c)
}

func (f *fold) admitCovers(a *node, r rank, c *node) bool {
	return before(c, a) && !f.acts[c.index].betterThan(r) && (!c.op.Body.Remove.Ban || f.off.bans)
}

// mayAdmit says whether the policy of n's past, and none that takes the right away beside it, lets its author invite
// and admit (ROS-9, ROS-13, ROS-15).
func (f *fold) mayAdmit(p *person, n *node, host bool) bool {
	if host {
		return true
	}
	return f.policyAt(n).Admitters == HostsAndMembers && !f.viewer(p, n) && !f.beside(n, noRank, func(l Policy) bool {
		return l.Admitters == Hosts && !f.off.withdrawal
	})
}

// viewer says whether the person is a viewer for operation n: was made one in its past, and the last word about it
// was no other, or was made one beside it (ROS-13).
func (f *fold) viewer(p *person, n *node) bool {
	return f.plainRole(p, n) == RoleViewer || slices.ContainsFunc(p.roles, func(c *node) bool {
		return c.op.Body.SetRole.Role == RoleViewer && !before(c, n) && !before(n, c)
	})
}

// plainRole is the role below host that a person has in n's past; the present one if n is nil (ROS-13).
func (f *fold) plainRole(p *person, n *node) Role {
	var best *node
	for c := range tips(p.roles, n, nil) {
		if c.op.Body.SetRole.Role != RoleHost && (best == nil || f.prefer(c, best)) {
			best = c
		}
	}
	if best == nil {
		return RoleMember
	}
	return best.op.Body.SetRole.Role
}

func (f *fold) judgeAdmit(n *node, r rank) Void {
	a := n.op.Body.Admit
	invite := f.set.byHash[a.Invite]
	target := f.person(a.Bundle.Identity)
	switch {
	case f.void[invite.index] != NotVoid:
		return VoidInvite
	case n.repeats && !f.off.repeatedKeys:
		return VoidRepeatedKey
	case f.locked(n, r):
		return VoidLocked
	case f.deadLink(n, invite):
		return VoidDeadLink
	case !f.belowOf(target, r, n):
		return VoidSuperior
	case !f.off.removal && slices.ContainsFunc(target.removes, func(c *node) bool { return !before(n, c) && !f.admitCovers(n, r, c) }):
		return VoidRemoved
	case f.onRoster(target, n):
		return VoidOnRoster
	}
	return NotVoid
}

// onRoster says whether a person could resume in n's past, and so isn't admitted (ROS-11).
func (f *fold) onRoster(p *person, n *node) bool {
	for tip := range tips(p.intros, n, nil) {
		if !f.hasLeft(tip, n) && !f.putOut(p, n, tip) {
			return !f.off.onRoster
		}
	}
	return false
}

// locked says whether n's own past is locked, or a superior locked beside it (ROS-15).
func (f *fold) locked(n *node, r rank) bool {
	lock := func(p Policy) bool { return p.Entry == Locked }
	return !f.off.lock && (lock(f.policyAt(n)) || f.beside(n, r, lock))
}

// beside says whether there is a SetPolicy of the given kind, concurrent with n and by a rank above r.
func (f *fold) beside(n *node, r rank, kind func(Policy) bool) bool {
	return slices.ContainsFunc(f.policies, func(l *node) bool {
		return f.acts[l.index].betterThan(r) && !before(l, n) && !before(n, l) && kind(l.op.Body.SetPolicy.Policy)
	})
}

// deadLink says whether n's past has a removal that its invite's hasn't (ROS-10).
func (f *fold) deadLink(n, invite *node) bool {
	return !f.off.deadLinks && n.past.meetsBeyond(f.removed, invite.past)
}

// policyAnswer remembers the last question of policyAt: neighbours have the same SetPolicies in their past.
type policyAnswer struct {
	past   bits
	policy Policy
}

// policyAt returns the policy that n's author saw; the present one if n is nil (ROS-14).
func (f *fold) policyAt(n *node) Policy {
	if len(f.policies) == 0 {
		return f.set.genesis.Policy
	}
	seen := newBits(len(f.policies))
	for i, c := range f.policies {
		if n == nil || before(c, n) {
			seen.set(i)
		}
	}
	if slices.Equal(seen, f.lastPolicy.past) {
		return f.lastPolicy.policy
	}
	policy := f.set.genesis.Policy
	var best *node
	for c := range tips(f.policies, nil, seen.has) {
		if best == nil || f.prefer(c, best) {
			best, policy = c, c.op.Body.SetPolicy.Policy
		}
	}
	f.lastPolicy = policyAnswer{seen, policy}
	return policy
}

// prefer orders concurrent operations: the better rank, then the lower hash.
func (f *fold) prefer(a, b *node) bool {
	if ra, rb := f.acts[a.index], f.acts[b.index]; ra != rb {
		return ra.betterThan(rb)
	}
	return a.hash.Compare(b.hash) < 0
}
