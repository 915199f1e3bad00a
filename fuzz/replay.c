// SPDX-License-Identifier: MIT
/* Feeds every file of the directories and files named on the command line to the fuzz target, so
 * that the corpus is an ordinary test with any compiler. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path) {
        FILE *f = fopen(path, "rb");
        if (!f) {
                fprintf(stderr, "%s: %s\n", path, strerror(errno));
                return -1;
        }
        static uint8_t buf[1 << 20];
        size_t n = fread(buf, 1, sizeof buf, f);
        fclose(f);
        /* A copy of the exact size: reading past the end is then seen by ASan. */
        uint8_t *copy = malloc(n ? n : 1);
        if (!copy)
                return -1;
        memcpy(copy, buf, n);
        LLVMFuzzerTestOneInput(copy, n);
        free(copy);
        return 0;
}

static int replay(const char *path, unsigned *files) {
        struct stat st;
        if (stat(path, &st) < 0) {
                fprintf(stderr, "%s: %s\n", path, strerror(errno));
                return -1;
        }
        if (!S_ISDIR(st.st_mode)) {
                ++*files;
                return replay_file(path);
        }
        DIR *dir = opendir(path);
        if (!dir)
                return -1;
        int r = 0;
        struct dirent *e;
        while (r == 0 && (e = readdir(dir))) {
                char sub[4096];
                if (e->d_name[0] == '.')
                        continue;
                snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
                r = replay(sub, files);
        }
        closedir(dir);
        return r;
}

int main(int argc, char **argv) {
        unsigned files = 0;
        for (int i = 1; i < argc; i++)
                if (replay(argv[i], &files) < 0)
                        return 1;
        /* An empty corpus would be a test that cannot fail. */
        if (files == 0) {
                fprintf(stderr, "no corpus file\n");
                return 1;
        }
        printf("%u files replayed\n", files);
        return 0;
}
