package codec

import (
	"bytes"
	"errors"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

const (
	// MaxDepth is how many arrays and maps may lie inside one another.
	MaxDepth = 8
	// MaxElements is the most elements of one array, and pairs of one map.
	MaxElements = 4096
)

// The two modes are fixed: a mode that fails to build is a mistake in this file,
// which every test of the package would show.
var (
	encMode = must(encOptions().EncMode())
	decMode = must(decOptions().DecMode())
)

func encOptions() cbor.EncOptions {
	o := cbor.CoreDetEncOptions()
	o.IndefLength = cbor.IndefLengthForbidden
	o.TagsMd = cbor.TagsForbidden
	o.NilContainers = cbor.NilContainerAsEmpty // one encoding for "nothing in it"
	return o
}

func decOptions() cbor.DecOptions {
	return cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:   MaxDepth,
		MaxArrayElements:  MaxElements,
		MaxMapPairs:       MaxElements,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		NaN:               cbor.NaNDecodeForbidden,
		Inf:               cbor.InfDecodeForbidden,
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Marshal returns the one encoding of v (RFC 8949 §4.2.1). It refuses with
// ErrUnsupported what Unmarshal would not take back: floats, nil pointers that
// are not left out by omitempty, text that is not UTF-8, nesting beyond MaxDepth,
// containers beyond MaxElements. It sets no limit on bytes; the receiver does.
func Marshal(v any) ([]byte, error) {
	b, err := encMode.Marshal(v)
	if err != nil {
		return nil, refuse(ErrUnsupported, "")
	}
	if err := scan(b); err != nil {
		return nil, refuse(ErrUnsupported, err.detail)
	}
	return b, nil
}

// Unmarshal decodes data, the whole of it, into the value v points to. It takes
// only bytes that Marshal would write for the value it returns, and at most limit
// of them (checked before anything else; a limit of zero or less takes nothing).
//
// Whatever *v held before is replaced; on error it is left untouched. The result
// shares no memory with data. Errors are of type *Error.
func Unmarshal(data []byte, limit int, v any) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return refuse(ErrUnsupported, "the target must be a non-nil pointer")
	}
	if len(data) > limit {
		return refuse(ErrTooLarge, "more bytes than the limit")
	}
	if err := scan(data); err != nil {
		return err
	}
	// A fresh value: nothing stale stays in fields the message leaves out, and
	// nothing from a refused message reaches the caller.
	fresh := reflect.New(target.Type().Elem())
	if err := decMode.Unmarshal(data, fresh.Interface()); err != nil {
		return refuse(ErrMismatch, describe(err))
	}
	if err := checkCanonical(data, fresh.Interface()); err != nil {
		return err
	}
	target.Elem().Set(fresh.Elem())
	return nil
}

// checkCanonical refuses data that is not the encoding of v. The scan has seen to
// the CBOR; this sees to what the Go type adds: zero values that omitempty leaves
// out, fixed-size arrays filled from strings of another size, and anything a
// type's own methods let through.
func checkCanonical(data []byte, v any) error {
	again, err := encMode.Marshal(v)
	if err != nil {
		return refuse(ErrUnsupported, "the decoded value does not encode again")
	}
	if !bytes.Equal(again, data) {
		return refuse(ErrNotCanonical, "not the encoding of the decoded value")
	}
	return nil
}

// describe tells a developer which Go field did not fit, and nothing of the data.
func describe(err error) string {
	var typeErr *cbor.UnmarshalTypeError
	if errors.As(err, &typeErr) && typeErr.StructFieldName != "" {
		return "field " + typeErr.StructFieldName
	}
	var unknown *cbor.UnknownFieldError
	if errors.As(err, &unknown) {
		return "unknown field"
	}
	return ""
}
