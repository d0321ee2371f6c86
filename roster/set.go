package roster

import (
	"bytes"
	"maps"
	"slices"

	"github.com/huisclos/huisclos/crypto"
)

// Outcome says what became of an operation given to Set.Add.
type Outcome uint8

// What became of it.
const (
	Added     Outcome = iota + 1 // it is in the set, perhaps with others that waited for it
	Duplicate                    // it was there before
	Waiting                      // its past isn't known yet (ROS-2)
)

// Set is a meeting's operations, closed under the past, and those that wait for theirs.
// It isn't safe for concurrent use; its owner is the meeting's one goroutine.
type Set struct {
	meeting crypto.MeetingID
	genesis Genesis
	raw     []byte

	nodes  []*node // in an order in which parents come first
	byHash map[crypto.Hash]*node
	intros map[crypto.Hash][]*node        // introductions of each bundle, by its hash
	people map[crypto.IdentityKey][]*node // introductions of each identity
	hosts  map[crypto.IdentityKey][]*node // SetRole(host) operations that name each identity and that a host authored
	keys   map[[32]byte][]*node           // introductions of each meeting key
	tips   map[crypto.Hash]*node          // the operation of each incarnation with the highest seq, then lowest hash
	spent  map[crypto.IdentityKey]int     // operations on each account (ROS-4)
	heads  map[crypto.Hash]struct{}
	digest crypto.Hash // exclusive-or of all hashes (SYN-1)

	waiting waitingStore
	roster  *Roster // the last fold, nil when there is something new

	archive  bool // a record that is checked: whose account an operation was on depends on what came when (ROS-4)
	trusting bool // no signatures, for tests that fold millions of histories
	off      protections
}

// node is one operation with what follows from its past alone.
type node struct {
	op     *Operation
	raw    []byte
	hash   crypto.Hash
	index  int
	depth  int
	past   bits
	parent []*node
	person crypto.IdentityKey // the author's

	byHost  bool               // its author is the creator, or was made host in its past by one who was (ROS-4)
	account crypto.IdentityKey // whom it counts against

	brings     *crypto.Bundle // what an introduction brings in
	bringsHash crypto.Hash
	repeats    bool               // a meeting key that another introduction in its past brought (ROS-5)
	newcomer   crypto.IdentityKey // whom the operations of those count against
	names      *node              // the introduction a SetRole names
}

// NewSet returns the empty set of a meeting from the bytes of its genesis. It fails if they aren't this meeting's (INV-1).
func NewSet(genesis []byte, meeting crypto.MeetingID) (*Set, error) {
	g, err := DecodeGenesis(genesis, meeting)
	if err != nil {
		return nil, err
	}
	return &Set{
		meeting: meeting, genesis: g, raw: bytes.Clone(genesis),
		byHash: map[crypto.Hash]*node{}, intros: map[crypto.Hash][]*node{}, people: map[crypto.IdentityKey][]*node{},
		hosts: map[crypto.IdentityKey][]*node{}, keys: map[[32]byte][]*node{}, tips: map[crypto.Hash]*node{},
		spent: map[crypto.IdentityKey]int{}, heads: map[crypto.Hash]struct{}{}, waiting: newWaitingStore(),
	}, nil
}

// Meeting returns the meeting's ID.
func (s *Set) Meeting() crypto.MeetingID { return s.meeting }

// Genesis returns the meeting's genesis.
func (s *Set) Genesis() Genesis { return s.genesis }

// GenesisBytes returns the genesis as it is hashed and sent.
func (s *Set) GenesisBytes() []byte { return s.raw }

// Len returns how many operations the set holds, without those that wait.
func (s *Set) Len() int { return len(s.nodes) }

// Has says whether the operation with this hash is in the set.
func (s *Set) Has(h crypto.Hash) bool { return s.byHash[h] != nil }

// Operation returns the operation with this hash and its bytes, or nil. Neither may be changed.
func (s *Set) Operation(h crypto.Hash) (*Operation, []byte) {
	if n := s.byHash[h]; n != nil {
		return n.op, n.raw
	}
	return nil, nil
}

// All yields the bytes of all operations, parents first.
func (s *Set) All(yield func(crypto.Hash, []byte) bool) {
	for _, n := range s.nodes {
		if !yield(n.hash, n.raw) {
			return
		}
	}
}

// Heads returns the hashes of the operations that are in no other's past, sorted.
func (s *Set) Heads() []crypto.Hash {
	h := make([]crypto.Hash, 0, len(s.heads))
	for k := range s.heads {
		h = append(h, k)
	}
	slices.SortFunc(h, crypto.Hash.Compare)
	return h
}

// HashOperation returns the hash that names an encoded operation (SPEC §6.1).
func HashOperation(raw []byte) crypto.Hash { return crypto.HashOf("operation", raw) }

// Add takes one encoded operation, from whomever and by whatever way (SYN-2). What is malformed, unsigned, by a
// stranger or over a limit is refused with an error, for which IsRefused holds, and not kept (ROS-1 to ROS-4); what is
// void by the rules of the fold is kept, since others' pasts may name it.
func (s *Set) Add(raw []byte) (Outcome, error) {
	hash := HashOperation(raw)
	if s.byHash[hash] != nil {
		return Duplicate, nil
	}
	if s.waiting.ops[hash] != nil {
		return Waiting, nil
	}
	op, err := DecodeOperation(raw)
	if err != nil {
		s.abandon(hash)
		return 0, err
	}
	if !s.known(op) {
		return s.wait(op, bytes.Clone(raw), hash)
	}
	if err := s.insert(op, bytes.Clone(raw), hash); err != nil {
		if err != errFull {
			s.abandon(hash)
		}
		return 0, err
	}
	s.release(hash)
	return Added, nil
}

func (o *Operation) parents() []crypto.Hash {
	if o.Previous == nil {
		return o.Heads
	}
	return append([]crypto.Hash{*o.Previous}, o.Heads...)
}

func (s *Set) known(o *Operation) bool {
	return !slices.ContainsFunc(o.parents(), func(h crypto.Hash) bool { return s.byHash[h] == nil })
}

// insert checks what needs the past, which is complete (ROS-2), and adds the operation.
func (s *Set) insert(op *Operation, raw []byte, hash crypto.Hash) error {
	n := &node{op: op, raw: raw, hash: hash, index: len(s.nodes), past: newBits(len(s.nodes))}
	for _, h := range op.parents() {
		p := s.byHash[h]
		n.parent = append(n.parent, p)
		n.past.union(p.past)
		n.past.set(p.index)
		n.depth = max(n.depth, p.depth+1)
	}
	if op.Previous != nil {
		if p := n.parent[0]; p.op.Author != op.Author || p.op.Seq+1 != op.Seq {
			return refuse("an operation's previous one must be its author's, with the seq before it")
		}
	}
	author, err := s.introduced(n)
	if err != nil {
		return err
	}
	if err := s.checkReferences(n); err != nil {
		return err
	}
	if err := s.charge(n); err != nil && !s.archive {
		return err
	}
	if !s.trusting {
		if err := op.verify(s.meeting, author); err != nil {
			return err
		}
		if err := s.checkProofs(op, author); err != nil {
			return err
		}
	}
	s.keep(n)
	return nil
}

func (s *Set) keep(n *node) {
	s.nodes = append(s.nodes, n)
	s.byHash[n.hash] = n
	s.spent[n.account]++
	if tip := s.tips[n.op.Author]; tip == nil || n.op.Seq > tip.op.Seq || n.op.Seq == tip.op.Seq && n.hash.Compare(tip.hash) < 0 {
		s.tips[n.op.Author] = n
	}
	if b, _ := n.op.Body.introduces(); b != nil {
		n.brings, n.bringsHash, n.newcomer = b, b.Hash(), n.account
		if n.op.Body.Admit != nil && n.byHost || s.off.accounts {
			n.newcomer = b.Identity
		}
		s.intros[n.bringsHash] = append(s.intros[n.bringsHash], n)
		s.people[b.Identity] = append(s.people[b.Identity], n)
		claims := [][32]byte{b.MeetingKey} // not the static, which nobody proves to have: a false one is of no use
		if s.off.statics {
			claims = append(claims, b.Static)
		}
		for _, k := range claims {
			n.repeats = n.repeats || slices.ContainsFunc(s.keys[k], func(m *node) bool { return before(m, n) }) // ROS-5
			s.keys[k] = append(s.keys[k], n)
		}
	}
	if r := n.op.Body.SetRole; r != nil {
		n.names = s.byHash[r.Introduction]
		if r.Role == RoleHost && n.byHost {
			s.hosts[n.target()] = append(s.hosts[n.target()], n)
		}
	}
	for _, p := range n.parent {
		delete(s.heads, p.hash)
	}
	s.heads[n.hash] = struct{}{}
	for i := range s.digest {
		s.digest[i] ^= n.hash[i]
	}
	s.roster = nil
}

// clone returns a set that can be added to and thrown away before the next operation is added to s.
func (s *Set) clone() *Set {
	c := *s
	c.nodes, c.byHash, c.intros, c.people = slices.Clone(s.nodes), maps.Clone(s.byHash), maps.Clone(s.intros), maps.Clone(s.people)
	c.hosts, c.keys, c.tips, c.spent = maps.Clone(s.hosts), maps.Clone(s.keys), maps.Clone(s.tips), maps.Clone(s.spent)
	c.heads, c.waiting = maps.Clone(s.heads), newWaitingStore()
	return &c
}

// introduced finds the bundle that signs n: its own for a Resume, else one introduced in its past (ROS-3). It notes
// who that is, and against whom the operation counts (ROS-4): the person itself if a host admitted it, else whoever
// did, so that puppets bring nobody more room.
func (s *Set) introduced(n *node) (*crypto.Bundle, error) {
	among, bundle := s.intros[n.op.Author], (*crypto.Bundle)(nil)
	if r := n.op.Body.Resume; r != nil {
		if bundle = &r.Bundle; bundle.Hash() != n.op.Author {
			return nil, refuse("a Resume must be its own bundle's")
		}
		if len(n.parent) == 0 && bundle.Identity != s.genesis.Creator {
			return nil, refuse("a meeting's first operation must be its creator's")
		}
		among = s.people[bundle.Identity]
	}
	found := false
	for _, m := range among {
		if !n.past.has(m.index) {
			continue
		}
		if bundle == nil {
			bundle = m.brings
		}
		if !found || m.newcomer == bundle.Identity {
			n.account, found = m.newcomer, true
		}
	}
	switch {
	case bundle == nil:
		return nil, refuse("an operation's author must have been introduced in its past")
	case bundle.Identity == s.genesis.Creator:
		n.account, n.byHost = bundle.Identity, true
	case !found && !s.off.strangers:
		return nil, refuse("a Resume's identity must have been introduced in its past")
	}
	n.person = bundle.Identity
	if slices.ContainsFunc(s.hosts[n.person], func(m *node) bool { return n.past.has(m.index) }) {
		n.account, n.byHost = n.person, true
	}
	if s.off.accounts {
		n.account = crypto.IdentityKey(n.op.Author)
	}
	return bundle, nil
}

var errFull = refuse("there is no room for more operations of this author")

// charge finds room for an operation (ROS-4). What is over its account's limit is taken on another's that waits for
// it: refused here and taken elsewhere it would hide all that builds on it.
func (s *Set) charge(n *node) error {
	creator := s.genesis.Creator
	limit := MaxOperations
	if n.person == creator {
		limit += creatorReserve
	}
	if len(s.nodes) >= limit {
		return errFull
	}
	limit = MaxPlainOperations
	if n.byHost {
		limit = MaxHostOperations
	}
	if n.account == creator || s.spent[n.account] < limit {
		return nil
	}
	sponsor, ok := s.sponsor(n)
	if !ok || s.off.sponsors {
		return errFull
	}
	n.account = sponsor
	return nil
}

// checkReferences checks that what an operation names is in its past.
func (s *Set) checkReferences(n *node) error {
	b := &n.op.Body
	switch {
	case b.Admit != nil:
		if invite := s.byHash[b.Admit.Invite]; invite == nil || !before(invite, n) || invite.op.Body.Invite == nil {
			return refuse("an Admit names an Invite that isn't in its past")
		}
	case b.SetRole != nil:
		if target := s.byHash[b.SetRole.Introduction]; target == nil || !before(target, n) || target.brings == nil {
			return refuse("a SetRole names an introduction that isn't in its past")
		}
	}
	return nil
}

// checkProofs verifies the bundles and knocks that an operation carries (ROS-3).
func (s *Set) checkProofs(op *Operation, author *crypto.Bundle) error {
	b := &op.Body
	if bundle, _ := b.introduces(); bundle != nil && len(s.intros[bundle.Hash()]) == 0 {
		if err := bundle.Verify(s.meeting); err != nil {
			return err
		}
	}
	// IDN-7: whom it brings in has that meeting key, and knocked so at its author's door. A Resume is signed by its own.
	if a := b.Admit; a != nil && !s.off.knocks {
		k := crypto.Knock{
			Name: a.Name, Bundle: a.Bundle, Invite: s.byHash[a.Invite].op.Body.Invite.Key,
			JoinerNonce: a.JoinerNonce, ResponderNonce: a.ResponderNonce, Signature: a.Signature,
		}
		if !k.VerifySignature(s.meeting, author.MeetingKey) {
			return refuse("an Admit needs the signature of a knock at its author's door")
		}
	}
	return nil
}

// target returns the identity that a Remove or SetRole is about.
func (n *node) target() crypto.IdentityKey {
	if r := n.op.Body.Remove; r != nil {
		return r.Identity
	}
	return n.names.brings.Identity
}
