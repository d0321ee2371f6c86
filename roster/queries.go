package roster

import "github.com/huisclos/huisclos/crypto"

// HasLeft says whether the incarnation with this bundle hash left by its own word (ROS-17).
func (r *Roster) HasLeft(bundle crypto.Hash) bool {
	return len(r.fold.left[bundle]) > 0
}

// EndedBy returns the operation that ended the meeting, or nil (ROS-18).
func (r *Roster) EndedBy() *Operation {
	if len(r.fold.endings) == 0 {
		return nil
	}
	return r.fold.endings[0].op
}

// BytesOf returns the encoding of an operation that this set returned, or nil.
func (s *Set) BytesOf(op *Operation) []byte {
	for _, n := range s.nodes {
		if n.op == op {
			return n.raw
		}
	}
	return nil
}

// Proof reads an operation that somebody was given without its past: a Remove of that identity, or an End. It returns
// nil unless the author's incarnation is known here and signed it. It says what a host did, not that it is effective.
func (s *Set) Proof(raw []byte, removed crypto.IdentityKey) *Operation {
	op, err := DecodeOperation(raw)
	if err != nil || len(s.intros[op.Author]) == 0 || op.verify(s.meeting, s.intros[op.Author][0].brings) != nil {
		return nil
	}
	if r := op.Body.Remove; r != nil && r.Identity == removed || op.Body.End != nil {
		return op
	}
	return nil
}

// AuthorBundle returns the bundle that signed an operation of the set, or nil.
func (s *Set) AuthorBundle(o *Operation) *crypto.Bundle {
	if in := s.intros[o.Author]; len(in) > 0 {
		return in[0].brings
	}
	return nil
}

// Full says whether Set.Add refused an operation only for want of room (ROS-4). Another member may have it.
func Full(err error) bool { return err == errFull }
