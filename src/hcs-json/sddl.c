// SPDX-License-Identifier: MIT
/* Security descriptor text (MS-DTYP 2.5.1.1), as far as hvsocket tables use it: owner, group, DACL
 * and SACL; simple entries. */
#include <errno.h>
#include <string.h>
#include "hcs-json/hcs.h"

/* Well-known names that stand for the owner of the sandbox on this host. */
static const char *const ours[] = {"SY", "BA", "WD", "AU", "IU", "BU", "OW", "CO", "S-1-1-0",
        "S-1-5-18", "S-1-5-32-544", "S-1-5-32-545", "S-1-5-11", "S-1-5-4", "S-1-3-0", "S-1-3-4"};

static bool is_sid(const char *s, size_t n) {
        if (n == 2)
                return s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z';
        return n >= 7 && strncmp(s, "S-1-", 4) == 0 && strspn(s + 4, "0123456789-") >= n - 4 &&
               s[n - 1] != '-';
}

static bool is_ours(const char *s, size_t n) {
        for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
                if (strlen(ours[i]) == n && memcmp(ours[i], s, n) == 0)
                        return true;
        return false;
}

static bool among(const char *s, size_t n, const char *const *words, size_t n_words) {
        for (size_t i = 0; i < n_words; i++)
                if (strlen(words[i]) == n && memcmp(words[i], s, n) == 0)
                        return true;
        return false;
}

/* "type;flags;rights;object;inherit;account", between the parentheses. */
struct ace {
        const char *field[6];
        size_t n[6];
};

static int split_ace(const char *s, size_t n, struct ace *ret) {
        size_t i = 0;
        for (const char *end = s + n;; s++) {
                const char *semicolon = memchr(s, ';', (size_t)(end - s));
                const char *stop = semicolon ? semicolon : end;
                if (i == ARRAY_SIZE(ret->field))
                        return -EINVAL;
                ret->field[i] = s;
                ret->n[i++] = (size_t)(stop - s);
                s = stop;
                if (!semicolon)
                        break;
        }
        return i == ARRAY_SIZE(ret->field) ? 0 : -EINVAL;
}

/* Grants is only touched by the first entry that names us. */
static int read_ace(const char *s, size_t n, bool dacl, bool *decided, bool *grants) {
        static const char *const types[] = {"A", "D", "AU", "AL", "ML", "OA", "OD"};
        struct ace ace = {0};
        if (split_ace(s, n, &ace) < 0 || !among(ace.field[0], ace.n[0], types, ARRAY_SIZE(types)) ||
                !is_sid(ace.field[5], ace.n[5]))
                return -EINVAL;
        for (size_t i = 1; i <= 2; i++)
                for (size_t k = 0; k < ace.n[i]; k++)
                        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefx", ace.field[i][k]))
                                return -EINVAL;
        bool allow = ace.n[0] == 1 && ace.field[0][0] == 'A';
        bool deny = ace.n[0] == 1 && ace.field[0][0] == 'D';
        if (dacl && !*decided && (allow || deny) && is_ours(ace.field[5], ace.n[5])) {
                *decided = true;
                *grants = allow;
        }
        return 0;
}

/* "flags(ace)(ace)…"; returns how far it reaches, or -EINVAL. */
static int read_acl(const char *s, bool dacl, bool *ret_grants) {
        const char *p = s + strspn(s, "PARI"); /* P, AR, AI */
        bool decided = false, grants = false;
        while (*p == '(') {
                const char *close = strchr(p, ')');
                if (!close || read_ace(p + 1, (size_t)(close - p - 1), dacl, &decided, &grants) < 0)
                        return -EINVAL;
                p = close + 1;
        }
        if (dacl)
                *ret_grants = grants;
        return (int)(p - s);
}

int hcs_sddl_grants(const char *sddl, bool *ret) {
        bool grants = true, seen[4] = {false};
        static const char parts[] = "OGDS";
        if (!*sddl || strlen(sddl) > 4096)
                return -EINVAL;
        for (const char *s = sddl; *s;) {
                const char *part = strchr(parts, s[0]);
                if (!part || s[1] != ':' || seen[part - parts])
                        return -EINVAL;
                seen[part - parts] = true;
                s += 2;
                int n;
                if (*part == 'O' || *part == 'G') {
                        n = (int)(strncmp(s, "S-1-", 4) == 0 ? 4 + strspn(s + 4, "0123456789-")
                                                             : 2);
                        if (!is_sid(s, strnlen(s, (size_t)n)))
                                return -EINVAL;
                } else {
                        n = read_acl(s, *part == 'D', &grants);
                        if (n < 0)
                                return n;
                }
                s += n;
        }
        *ret = grants;
        return 0;
}
