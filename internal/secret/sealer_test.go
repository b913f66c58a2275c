package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

var associated = []byte("r1 PAGER_DUTY payments-prod")

func newKeyset(t *testing.T) secret.Text {
	t.Helper()
	encoded, err := secret.NewKeyset()
	require.NoError(t, err)
	return encoded
}

func newSealer(t *testing.T, encoded secret.Text) *secret.Sealer {
	t.Helper()
	s, err := secret.NewSealer(encoded)
	require.NoError(t, err)
	return s
}

func secrets() map[string]secret.Text {
	return map[string]secret.Text{"serviceKey": secret.New(canary)}
}

func seal(t *testing.T, s *secret.Sealer) []byte {
	t.Helper()
	sealed, err := s.Seal(secrets(), associated)
	require.NoError(t, err)
	return sealed
}

func assertOpens(t *testing.T, s *secret.Sealer, sealed []byte) {
	t.Helper()
	opened, err := s.Open(sealed, associated)
	require.NoError(t, err)
	assert.Len(t, opened, 1)
	assert.True(t, opened["serviceKey"].Equal(secret.New(canary)))
}

func TestSealer(t *testing.T) {
	t.Parallel()
	s := newSealer(t, newKeyset(t))
	sealed := seal(t, s)
	assertHidden(t, "sealed value", string(sealed))
	assert.False(t, bytes.Contains(sealed, []byte("serviceKey")))
	assertOpens(t, s, sealed)
	assert.False(t, bytes.Equal(sealed, seal(t, s)), "sealing twice gives two values")

	empty, err := s.Seal(nil, nil)
	require.NoError(t, err)
	opened, err := s.Open(empty, nil)
	require.NoError(t, err)
	assert.Empty(t, opened)
}

func TestSealerQuick(t *testing.T) {
	t.Parallel()
	s := newSealer(t, newKeyset(t))
	assert.NoError(t, quick.Check(func(values map[string]string, associated []byte) bool {
		in := map[string]secret.Text{}
		for name, value := range values {
			in[name] = secret.New(value)
		}
		sealed, err := s.Seal(in, associated)
		if err != nil {
			return false
		}
		out, err := s.Open(sealed, associated)
		if err != nil || len(out) != len(in) {
			return false
		}
		for name, value := range in {
			if !out[name].Equal(value) {
				return false
			}
		}
		return true
	}, &quick.Config{MaxCount: 50}))
}

func TestWhatDoesNotOpen(t *testing.T) {
	t.Parallel()
	encoded := newKeyset(t)
	s := newSealer(t, encoded)
	sealed := seal(t, s)
	refuses := func(why error, what string, s *secret.Sealer, sealed, associated []byte) {
		opened, err := s.Open(sealed, associated)
		require.ErrorIs(t, err, why, what)
		assert.Nil(t, opened, what)
	}
	for _, other := range []string{"", "r1 PAGER_DUTY payments-pro", "r1 PAGER_DUTY payments-prod ", "r2 PAGER_DUTY payments-prod"} {
		refuses(secret.ErrSealed, "other associated data", s, sealed, []byte(other))
	}
	for i := range sealed {
		altered := slices.Clone(sealed)
		altered[i] ^= 1
		why := secret.ErrSealed
		if i >= 1 && i <= 4 { // it names another key
			why = secret.ErrNoKey
		}
		refuses(why, "an altered byte", s, altered, associated)
		refuses(secret.ErrSealed, "a shorter value", s, sealed[:i], associated)
	}
	refuses(secret.ErrSealed, "a longer value", s, append(slices.Clone(sealed), 0), associated)
	refuses(secret.ErrSealed, "nothing", s, nil, associated)
	refuses(secret.ErrNoKey, "another keyset", newSealer(t, newKeyset(t)), sealed, associated)
}

func TestRotation(t *testing.T) {
	t.Parallel()
	encoded := newKeyset(t)
	before := newSealer(t, encoded)
	old := seal(t, before)
	require.Len(t, before.Keys(), 1)
	assert.True(t, before.Keys()[0].Primary)

	rotated, err := secret.RotateKeyset(encoded)
	require.NoError(t, err)
	after := newSealer(t, rotated)
	assertOpens(t, after, old)
	require.Len(t, after.Keys(), 2)
	var primary uint32
	for _, key := range after.Keys() {
		assert.Equal(t, key.ID != before.Keys()[0].ID, key.Primary, "the new key seals, the old one only opens")
		if key.Primary {
			primary = key.ID
		}
	}
	fresh := seal(t, after)
	assertOpens(t, after, fresh)
	_, err = before.Open(fresh, associated)
	require.ErrorIs(t, err, secret.ErrNoKey, "it is sealed with the new key")
	id, named := secret.KeyOf(fresh)
	assert.True(t, named)
	assert.Equal(t, primary, id)
	assert.NotEqual(t, before.Fingerprint(secret.New(canary)), after.Fingerprint(secret.New(canary)))

	// Later the old key is taken out.
	without, err := secret.RemoveKey(rotated, before.Keys()[0].ID)
	require.NoError(t, err)
	reduced := newSealer(t, without)
	assert.Equal(t, []secret.KeyInfo{{ID: primary, Primary: true}}, reduced.Keys())
	assertOpens(t, reduced, fresh)
	_, err = reduced.Open(old, associated)
	require.ErrorIs(t, err, secret.ErrNoKey)
	for _, id := range []uint32{primary, before.Keys()[0].ID} {
		_, err = secret.RemoveKey(without, id)
		require.ErrorContains(t, err, fmt.Sprint(id), "neither the primary key nor one that is not there can be taken out")
	}
	assert.Equal(t, after.Fingerprint(secret.New(canary)), reduced.Fingerprint(secret.New(canary)))

	again, err := secret.RotateKeyset(rotated)
	require.NoError(t, err)
	assertOpens(t, newSealer(t, again), old)
	assertOpens(t, newSealer(t, again), fresh)
}

// TestReplacing has a sealer go on with another keyset while others use it.
func TestReplacing(t *testing.T) {
	t.Parallel()
	encoded := newKeyset(t)
	s := newSealer(t, encoded)
	old := seal(t, s)
	require.Error(t, s.Replace(secret.New(canary)))
	assertOpens(t, s, old)
	rotated, err := secret.RotateKeyset(encoded)
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			sealed, err := s.Seal(secrets(), associated)
			assert.NoError(t, err)
			_, err = s.Open(sealed, associated)
			assert.NoError(t, err)
		})
	}
	require.NoError(t, s.Replace(rotated))
	all.Wait()
	assertOpens(t, s, old)
	assertOpens(t, newSealer(t, rotated), seal(t, s))
	assert.Len(t, s.Keys(), 2)
}

func encode(t *testing.T, handle *keyset.Handle) secret.Text {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b)))
	return secret.New(base64.StdEncoding.EncodeToString(b.Bytes()))
}

func TestKeysetsMayHaveSpaceAround(t *testing.T) {
	t.Parallel()
	encoded := newKeyset(t)
	sealed := seal(t, newSealer(t, encoded))
	assertOpens(t, newSealer(t, secret.New(" "+encoded.Reveal()+"\n")), sealed)
}

func TestMalformedKeysets(t *testing.T) {
	t.Parallel()
	encoded := newKeyset(t)
	plain, err := base64.StdEncoding.DecodeString(encoded.Reveal())
	require.NoError(t, err)
	edited := func(edit func(map[string]any)) string {
		var set map[string]any
		require.NoError(t, json.Unmarshal(plain, &set))
		edit(set)
		text, err := json.Marshal(set)
		require.NoError(t, err)
		return base64.StdEncoding.EncodeToString(text)
	}
	key := func(set map[string]any) map[string]any { return set["key"].([]any)[0].(map[string]any) }
	forMAC, err := keyset.NewHandle(mac.HMACSHA256Tag128KeyTemplate())
	require.NoError(t, err)
	for name, malformed := range map[string]string{
		"empty":               "",
		"no base64":           canary + "!",
		"JSON":                string(plain),
		"cut":                 encoded.Reveal()[:40],
		"no JSON":             base64.StdEncoding.EncodeToString([]byte(canary)),
		"another JSON":        base64.StdEncoding.EncodeToString([]byte(`{"key":"` + canary + `"}`)),
		"an empty object":     base64.StdEncoding.EncodeToString([]byte(`{}`)),
		"no keys":             edited(func(set map[string]any) { set["key"] = []any{} }),
		"no primary key":      edited(func(set map[string]any) { set["primaryKeyId"] = 1 }),
		"a disabled key":      edited(func(set map[string]any) { key(set)["status"] = "DISABLED" }),
		"a key of no kind":    edited(func(set map[string]any) { key(set)["keyData"].(map[string]any)["typeUrl"] = canary }),
		"a key without value": edited(func(set map[string]any) { key(set)["keyData"].(map[string]any)["value"] = "" }),
		"a status of no kind": edited(func(set map[string]any) { key(set)["status"] = canary }),
		"a word too many":     edited(func(set map[string]any) { set[canary] = 1 }),
		"a key for MAC":       encode(t, forMAC).Reveal(),
	} {
		for what, use := range map[string]func(secret.Text) error{
			"use":    func(text secret.Text) error { _, err := secret.NewSealer(text); return err },
			"rotate": func(text secret.Text) error { _, err := secret.RotateKeyset(text); return err },
		} {
			err := use(secret.New(malformed))
			if what == "use" {
				require.Error(t, err, name)
			}
			if err == nil {
				continue
			}
			assertHidden(t, name, err.Error())
			for i := 0; i+12 <= len(malformed); i++ {
				if strings.Contains(err.Error(), malformed[i:i+12]) {
					t.Errorf("%s: the error quotes the keyset", name)
					break
				}
			}
		}
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	encoded := newKeyset(t)
	one, again, other := newSealer(t, encoded), newSealer(t, encoded), newSealer(t, newKeyset(t))
	text := secret.New(canary)
	assert.Regexp(t, regexp.MustCompile(`^[a-z2-7]{8}$`), one.Fingerprint(text))
	assert.Equal(t, one.Fingerprint(text), again.Fingerprint(text), "in every process")
	assert.NotEqual(t, one.Fingerprint(text), other.Fingerprint(text), "keyed")
	seen := map[string]bool{}
	for _, value := range []string{"", canary, canary + " ", strings.ToUpper(canary), canary[1:]} {
		seen[one.Fingerprint(secret.New(value))] = true
	}
	assert.Len(t, seen, 5)
}

func TestSealerIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	s := newSealer(t, newKeyset(t))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			sealed, err := s.Seal(secrets(), associated)
			assert.NoError(t, err)
			_, err = s.Open(sealed, associated)
			assert.NoError(t, err)
			s.Fingerprint(secret.New(canary))
		})
	}
	all.Wait()
}
