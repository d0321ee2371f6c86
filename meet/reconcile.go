package meet

import (
	"slices"
	"time"

	"github.com/huisclos/huisclos/roster"
)

const (
	// haveEvery is how often a peer is sent the list of what is in the set (SYN-3).
	haveEvery = time.Second
	// syncEvery is how far apart comparisons with one peer are at least.
	syncEvery = 200 * time.Millisecond
	// waitingAsks is for how long others are asked for what an operation that came lately waits for.
	waitingAsks = 10 * time.Second
	// wantBatch is how many operations are asked for in one message.
	wantBatch = 1024
)

// reconcile compares sets with a peer (SYN-1): now, or soon if it was just done.
func (m *Meeting) reconcile(p *peer) {
	if p.syncDue {
		return
	}
	now := time.Now()
	if wait := syncEvery - now.Sub(p.syncAt); wait > 0 {
		p.syncDue = true
		m.after(wait, func() {
			p.syncDue = false
			if m.peers[p.key] == p {
				m.reconcile(p)
			}
		})
		return
	}
	p.syncAt = now
	d := m.set.Digest()
	m.send(p, pairMessage{Sync: &d})
}

// synced answers a digest that differs from ours with the list of what we have, once a second (SYN-3).
func (m *Meeting) synced(p *peer, theirs roster.Sync, now time.Time) {
	if theirs == m.set.Digest() || now.Sub(p.haveAt) < haveEvery && !m.config.hooks.noLimits {
		return
	}
	p.haveAt = now
	for _, page := range m.set.Have() {
		m.send(p, pairMessage{Have: &page})
	}
}

// mayReconcile bounds the lists and requests of a peer that are answered: each goes through the whole set (SYN-3).
func (m *Meeting) mayReconcile(p *peer, now time.Time) bool {
	return p.limit.reconcile.allow(now, reconcileBurst, reconcileRate) || m.config.hooks.noLimits
}

func (m *Meeting) compared(p *peer, h roster.Have, now time.Time) {
	if len(h.Hashes) > roster.MaxHave || !m.mayReconcile(p, now) {
		return
	}
	lacks, wants := m.set.Compare(h)
	m.sendOperations(p, lacks)
	for part := range slices.Chunk(wants, wantBatch) {
		m.send(p, pairMessage{Want: part})
	}
}

func (m *Meeting) wanted(p *peer, wants []roster.ShortHash, now time.Time) {
	if len(wants) <= wantBatch && m.mayReconcile(p, now) {
		m.sendOperations(p, m.set.Pick(wants))
	}
}

// sendOperations sends operations, parents first, in messages of bounded size, unless the peer has had them all more than
// once (SYN-3): it asks again.
func (m *Meeting) sendOperations(p *peer, raws [][]byte) {
	burst := float64(operationsBurst + 2*m.set.Len())
	if !p.limit.operations.allowMany(time.Now(), len(raws), burst, operationsRate) && !m.config.hooks.noLimits {
		return
	}
	for _, batch := range batches(raws) {
		m.send(p, pairMessage{Operations: batch})
	}
}

func batches(raws [][]byte) (all [][][]byte) {
	size := 0
	for _, raw := range raws {
		if len(all) == 0 || size+len(raw) > maxBatch {
			all, size = append(all, nil), 0
		}
		all[len(all)-1] = append(all[len(all)-1], raw)
		size += len(raw)
	}
	return all
}

// observeHeads asks for operations that others have, and warns when they don't come (PRE-5): those that somebody present
// vouches for in its heartbeat, and is named with. What merely waits for a past that nobody vouches for may be made up;
// that is asked for a while and worth no warning.
func (m *Meeting) observeHeads(now time.Time) {
	missing := false
	var by, anybody *peer
	for _, p := range m.peers {
		if !p.connected || !p.installed {
			continue
		}
		anybody = p
		if b := m.presence.Latest(p.key); b != nil && slices.ContainsFunc(b.Heads, m.lacks) {
			missing, by = true, p
			m.reconcile(p)
		}
	}
	if by == nil && anybody != nil && now.Sub(m.watch.waitingAt) < waitingAsks && len(m.set.Missing()) > 0 {
		m.reconcile(anybody)
	}
	if !missing {
		m.watch.unresolved = time.Time{}
	} else if m.watch.unresolved.IsZero() {
		m.watch.unresolved = now
	}
	var who Member
	if by != nil {
		who, _ = m.memberByKey(by.key)
	}
	m.warnOf(warningKey{kind: Unresolved}, who, missing && now.Sub(m.watch.unresolved) >= unresolvedAfter)
}
