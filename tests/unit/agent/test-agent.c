// SPDX-License-Identifier: MIT
/* The agent and gcs speak to each other; processes are real. */
#include "rig.h"
#include <dirent.h>
#include <fcntl.h>
#include "base/fault.h"
#include <sys/prctl.h>

enum { IN = 1, OUT = 2, ERR = 4 };

static size_t count_fds(void) {
        size_t n = 0;
        DIR *dir = opendir("/proc/self/fd");
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

START_TEST(runs_a_command_line_and_tells_its_output_and_status) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("echo to-out; echo to-err >&2; exit 7");
        rig_begin(&rig, &run, OUT | ERR);
        ck_assert_int_eq(rig_finish(&rig, &run), 7);
        ck_assert_str_eq(run.text[1], "to-out\n");
        ck_assert_str_eq(run.text[2], "to-err\n");
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(passes_arguments_as_they_are) {
        struct rig rig;
        rig_setup(&rig);
        const char *const argv[] = {"printf", "[%s]", "a b", "", "$HOME", "\"q\"\\\n", "ä€", NULL};
        struct rig_run run = {.params = {.argv = argv, .cwd = "", .user = ""}};
        rig_begin(&rig, &run, OUT);
        ck_assert_int_eq(rig_finish(&rig, &run), 0);
        ck_assert_str_eq(run.text[1], "[a b][][$HOME][\"q\"\\\n][ä€]");
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(feeds_stdin_and_passes_its_end_on) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("cat; echo end");
        rig_begin(&rig, &run, IN | OUT);
        ck_assert_int_eq(write(run.ours[0], "hello\n", 6), 6);
        rig_until(&rig, (rig_collect(&run), run.size[1] == 6));
        ck_assert_uint_eq(rig.n_exits, 0);
        ck_assert_int_eq(shutdown(run.ours[0], SHUT_WR), 0);
        ck_assert_int_eq(rig_finish(&rig, &run), 0);
        ck_assert_str_eq(run.text[1], "hello\nend\n");
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(streams_a_mebibyte_both_ways) {
        enum { SIZE = 1 << 20 };
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("cat");
        rig_begin(&rig, &run, IN | OUT);
        unsigned char *data = malloc(SIZE);
        for (size_t i = 0; i < SIZE; i++)
                data[i] = (unsigned char)(i * 2654435761u >> 13);
        size_t sent = 0;
        while (sent < SIZE) {
                ssize_t n = write(run.ours[0], data + sent, SIZE - sent);
                if (n > 0)
                        sent += (size_t)n;
                rig_collect(&run);
                assert_ok(io_loop_once(rig.loop, 0));
        }
        shutdown(run.ours[0], SHUT_WR);
        ck_assert_int_eq(rig_finish(&rig, &run), 0);
        ck_assert_uint_eq(run.size[1], SIZE);
        ck_assert_mem_eq(run.text[1], data, SIZE);
        free(data);
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(gives_dev_null_for_streams_that_nobody_wants) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell(
                "test \"$(readlink /proc/self/fd/0)\" = /dev/null && ls -l /proc/self/fd >&2");
        rig_begin(&rig, &run, 0);
        ck_assert_int_eq(rig_finish(&rig, &run), 0);
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(leaks_no_descriptor_to_the_program) {
        struct rig rig;
        rig_setup(&rig);
        const char *const argv[] = {"ls", "/proc/self/fd", NULL};
        struct rig_run run = {.params = {.argv = argv, .cwd = "", .user = ""}};
        rig_begin(&rig, &run, OUT);
        ck_assert_int_eq(rig_finish(&rig, &run), 0);
        ck_assert_str_eq(run.text[1], "0\n1\n2\n3\n"); /* 3 is the directory itself */
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(resets_signals_for_the_program) {
        struct rig rig;
        rig_setup(&rig);
        /* The first 28: signals 32 and 33 are libc's, which lets nobody reset them. */
        struct rig_run run =
                rig_shell("sed -nE 's/^Sig(Blk|Ign):.*(.{7})$/\\1 \\2/p' /proc/self/status");
        rig_begin(&rig, &run, OUT);
        ck_assert_int_eq(rig_finish(&rig, &run), 0);
        ck_assert_str_eq(run.text[1], "Blk 0000000\nIgn 0000000\n");
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(uses_the_directory_and_the_environment_that_were_asked_for) {
        struct rig rig;
        rig_setup(&rig);
        const char *const env[] = {"A=1", "B=x=y", "A=2", NULL};
        struct rig_run run = rig_shell("pwd; echo $A $B $HOME; env | wc -l");
        run.params.cwd = "/usr";
        run.params.env = env;
        rig_begin(&rig, &run, OUT);
        ck_assert_int_eq(rig_finish(&rig, &run), 0);
        /* A, B, PATH, HOME, USER, and PWD, which the shell sets (and dash OLDPWD never). */
        ck_assert_str_eq(run.text[1], "/usr\n2 x=y /root\n6\n");
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(looks_programs_up_in_the_path_that_was_asked_for) {
        struct rig rig;
        rig_setup(&rig);
        char dir[] = "/tmp/sandbar-agent-XXXXXX", file[64], path[64];
        ck_assert_ptr_nonnull(mkdtemp(dir));
        snprintf(file, sizeof file, "%s/only-here", dir);
        snprintf(path, sizeof path, "PATH=%s", dir);
        int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
        ck_assert_int_eq(write(fd, "#!/bin/sh\nexit 5\n", 17), 17);
        close(fd);
        const char *const argv[] = {"only-here", NULL}, *const env[] = {path, NULL};
        struct rig_run run = {.params = {.argv = argv, .env = env, .cwd = "", .user = ""}};
        rig_begin(&rig, &run, 0);
        ck_assert_int_eq(rig_finish(&rig, &run), 5);
        rig_run_done(&run);
        unlink(file);
        rmdir(dir);
        rig_teardown(&rig);
}
END_TEST

START_TEST(reports_a_missing_program) {
        struct rig rig;
        rig_setup(&rig);
        size_t before = count_fds();
        const char *const argv[] = {"no-such-program", NULL};
        struct rig_run run = {.params = {.argv = argv, .cwd = "", .user = ""}};
        rig_begin(&rig, &run, IN | OUT | ERR);
        ck_assert_uint_eq(run.reply.hresult, HR_FILE_NOT_FOUND);
        ck_assert_ptr_nonnull(strstr(run.reply.text, "\"no-such-program\""));
        rig_until(&rig, rig_ended(&run));
        rig_run_done(&run);
        rig_until(&rig, count_fds() == before);
        ck_assert_uint_eq(rig.n_exits, 0);
        rig_teardown(&rig);
}
END_TEST

START_TEST(reports_a_program_that_may_not_be_run) {
        struct rig rig;
        rig_setup(&rig);
        const char *const argv[] = {"/etc/passwd", NULL};
        struct rig_run run = {.params = {.argv = argv, .cwd = "", .user = ""}};
        rig_begin(&rig, &run, 0);
        ck_assert_uint_eq(run.reply.hresult, HR_ACCESS_DENIED);
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(reports_a_missing_directory) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("true");
        run.params.cwd = "/no/such/directory";
        rig_begin(&rig, &run, OUT);
        ck_assert_uint_eq(run.reply.hresult, HR_PATH_NOT_FOUND);
        ck_assert_ptr_nonnull(strstr(run.reply.text, "\"/no/such/directory\""));
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(reports_a_missing_user) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("true");
        run.params.user = "no-such-user";
        rig_begin(&rig, &run, OUT);
        ck_assert_uint_eq(run.reply.hresult, HR_NO_SUCH_LOGON_SESSION);
        ck_assert_ptr_nonnull(strstr(run.reply.text, "\"no-such-user\""));
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(reports_a_command_that_is_missing_or_not_utf8) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell(NULL);
        rig_begin(&rig, &run, OUT);
        ck_assert_uint_eq(run.reply.hresult, E_INVALIDARG);
        rig_run_done(&run);
        run = rig_shell("echo \xff");
        rig_begin(&rig, &run, OUT);
        ck_assert_uint_eq(run.reply.hresult, E_INVALIDARG);
        ck_assert_ptr_nonnull(strstr(run.reply.text, "UTF-8"));
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(becomes_another_user) {
        if (geteuid() != 0)
                return; /* nothing to become */
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("id -u; echo $USER");
        run.params.user = "nobody";
        rig_begin(&rig, &run, OUT);
        ck_assert_int_eq(rig_finish(&rig, &run), 0);
        ck_assert_str_eq(run.text[1], "65534\nnobody\n");
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(signals_the_whole_process_group) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("sleep 100 & echo up; wait");
        rig_begin(&rig, &run, OUT);
        rig_until(&rig, (rig_collect(&run), run.size[1] == 3));
        struct rig_reply reply = {0};
        gcs_signal_process(rig.gcs, run.reply.pid, SIGTERM, rig_done, &reply);
        /* The stream ends only when sleep, which inherited it, is gone too. */
        ck_assert_int_eq(rig_finish(&rig, &run), 128 + SIGTERM);
        rig_until(&rig, reply.done);
        ck_assert_uint_eq(reply.hresult, 0);
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(refuses_signals_to_what_does_not_run) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("exit 0");
        rig_begin(&rig, &run, 0);
        rig_finish(&rig, &run);
        uint32_t pids[] = {run.reply.pid, (uint32_t)getpid(), 1, 0, UINT32_MAX};
        for (size_t i = 0; i < sizeof pids / sizeof *pids; i++) {
                struct rig_reply reply = {0};
                gcs_signal_process(rig.gcs, pids[i], SIGKILL, rig_done, &reply);
                rig_until(&rig, reply.done);
                ck_assert_uint_eq(reply.hresult, HR_NOT_FOUND);
        }
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(refuses_a_signal_that_there_is_not) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("sleep 100");
        rig_begin(&rig, &run, 0);
        struct rig_reply reply = {0}, kill_reply = {0};
        gcs_signal_process(rig.gcs, run.reply.pid, 500, rig_done, &reply);
        gcs_signal_process(rig.gcs, run.reply.pid, SIGKILL, rig_done, &kill_reply);
        ck_assert_int_eq(rig_finish(&rig, &run), 128 + SIGKILL);
        ck_assert_uint_eq(reply.hresult, E_INVALIDARG);
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(gives_a_terminal_of_the_right_size_and_resizes_it) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("tty; stty size; read x; stty size; exit 3");
        run.params.console = true;
        run.params.rows = 33;
        run.params.columns = 77;
        rig_begin(&rig, &run, IN | OUT);
        rig_until(&rig, (rig_collect(&run), run.text[1] && strstr(run.text[1], "33 77\r\n")));
        ck_assert_ptr_nonnull(strstr(run.text[1], "/dev/pts/"));
        struct rig_reply reply = {0};
        gcs_resize_console(rig.gcs, run.reply.pid, 40, 132, rig_done, &reply);
        rig_until(&rig, reply.done);
        ck_assert_uint_eq(reply.hresult, 0);
        ck_assert_int_eq(write(run.ours[0], "\n", 1), 1);
        ck_assert_int_eq(rig_finish(&rig, &run), 3);
        ck_assert_ptr_nonnull(strstr(run.text[1], "40 132\r\n"));
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(makes_the_terminal_the_controlling_one) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("trap 'echo caught; exit 9' INT; echo up > /dev/tty; "
                                       "while :; do sleep 1; done");
        run.params.console = true;
        rig_begin(&rig, &run, IN | OUT);
        rig_until(&rig, (rig_collect(&run), run.text[1] && strstr(run.text[1], "up\r\n")));
        ck_assert_int_eq(write(run.ours[0], "\x03", 1), 1);
        ck_assert_int_eq(rig_finish(&rig, &run), 9);
        ck_assert_ptr_nonnull(strstr(run.text[1], "caught"));
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(loses_nothing_that_a_terminal_printed_last) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("seq 1 200000");
        run.params.console = true;
        rig_begin(&rig, &run, OUT);
        ck_assert_int_eq(rig_finish(&rig, &run), 0);
        static const char last[] = "199999\r\n200000\r\n";
        ck_assert_uint_gt(run.size[1], 1 << 20);
        ck_assert_str_eq(run.text[1] + run.size[1] - strlen(last), last);
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(hangs_the_terminal_up_when_the_host_closes_it) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("echo up; sleep 100");
        run.params.console = true;
        rig_begin(&rig, &run, IN | OUT);
        rig_until(&rig, (rig_collect(&run), run.size[1] >= 2));
        run.ours[0] = fd_close(run.ours[0]);
        run.ours[1] = fd_close(run.ours[1]);
        ck_assert_int_eq(rig_finish(&rig, &run), 128 + SIGHUP);
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(refuses_to_resize_what_has_no_terminal) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("read x");
        rig_begin(&rig, &run, IN);
        struct rig_reply reply = {0};
        gcs_resize_console(rig.gcs, run.reply.pid, 40, 132, rig_done, &reply);
        rig_until(&rig, reply.done);
        ck_assert_uint_eq(reply.hresult, HCS_E_INVALID_STATE);
        run.ours[0] = fd_close(run.ours[0]);
        rig_finish(&rig, &run);
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(runs_many_processes_at_once) {
        enum { COUNT = 64 };
        struct rig rig;
        rig_setup(&rig);
        size_t before = count_fds();
        static struct rig_run runs[COUNT];
        static char lines[COUNT][64];
        for (int i = 0; i < COUNT; i++) {
                snprintf(lines[i], sizeof lines[i], "echo %d; exit %d", i, i);
                runs[i] = rig_shell(lines[i]);
                runs[i].params.stdio[0] = runs[i].params.stdio[2] = -1;
                runs[i].ours[0] = runs[i].ours[2] = -1;
                runs[i].ours[1] = rig_stream(&runs[i].params.stdio[1]);
                gcs_create_process(rig.gcs, &runs[i].params, rig_done, &runs[i].reply);
        }
        for (int i = 0; i < COUNT; i++) {
                rig_until(&rig, runs[i].reply.done);
                ck_assert_int_eq(rig_finish(&rig, &runs[i]), i);
                ck_assert_int_eq(atoi(runs[i].text[1]), i);
                rig_run_done(&runs[i]);
        }
        rig_until(&rig, count_fds() == before);
        rig_teardown(&rig);
}
END_TEST

START_TEST(refuses_one_process_too_many) {
        struct rig rig;
        rig_setup(&rig);
        static struct rig_run runs[GCS_PROCESSES_MAX];
        const char *const argv[] = {"sleep", "100", NULL};
        struct gcs_process params = {.argv = argv, .cwd = "", .user = "", .stdio = {-1, -1, -1}};
        for (size_t i = 0; i < GCS_PROCESSES_MAX; i++) {
                runs[i].params = params;
                runs[i].ours[0] = runs[i].ours[1] = runs[i].ours[2] = -1;
                gcs_create_process(rig.gcs, &runs[i].params, rig_done, &runs[i].reply);
                rig_until(&rig, runs[i].reply.done);
                ck_assert_uint_eq(runs[i].reply.hresult, 0);
        }
        struct rig_reply reply = {0};
        gcs_create_process(rig.gcs, &params, rig_done, &reply);
        ck_assert(reply.done);
        ck_assert_uint_eq(reply.hresult, HR_OUTOFMEMORY);
        for (size_t i = 0; i < GCS_PROCESSES_MAX; i++) {
                struct rig_reply killed = {0};
                gcs_signal_process(rig.gcs, runs[i].reply.pid, SIGKILL, rig_done, &killed);
                rig_until(&rig, killed.done);
        }
        rig_until(&rig, rig.n_exits == GCS_PROCESSES_MAX);
        rig_teardown(&rig);
}
END_TEST

START_TEST(reaps_orphans) {
        struct rig rig;
        rig_setup(&rig);
        /* A subreaper stands in for PID 1. */
        ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
        struct rig_run run = rig_shell("(sleep 0.2; echo late) & exit 0");
        rig_begin(&rig, &run, OUT);
        ck_assert_int_eq(rig_finish(&rig, &run), 0);
        rig_until(&rig, !rig.children);
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

/* ── Either side vanishes ──────────────────────────────────────────────────────────────────── */

START_TEST(answers_everything_when_the_bridge_is_cut) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("sleep 100");
        rig_begin(&rig, &run, 0);
        struct rig_reply replies[10] = {0};
        for (size_t i = 0; i < 10; i++)
                gcs_resize_console(rig.gcs, run.reply.pid, 1, 1, rig_done, &replies[i]);
        rig.refuse = true;
        shutdown(rig.bridge, SHUT_RDWR);
        rig_until(&rig, rig.closed == 1);
        for (size_t i = 0; i < 10; i++) {
                ck_assert(replies[i].done);
                ck_assert_uint_eq(replies[i].hresult, HCS_E_CONNECTION_CLOSED);
        }
        ck_assert(!gcs_is_connected(rig.gcs));
        struct rig_reply reply = {0};
        gcs_signal_process(rig.gcs, run.reply.pid, SIGKILL, rig_done, &reply);
        ck_assert(reply.done);
        ck_assert_uint_eq(reply.hresult, HCS_E_CONNECTION_CLOSED);
        kill(-(pid_t)run.reply.pid, SIGKILL);
        rig.refuse = false;
        rig_until(&rig, rig.n_exits == 1);
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(keeps_processes_over_a_new_bridge) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("cat; exit 4"), quick = rig_shell("read x; exit 5");
        rig_begin(&rig, &run, IN | OUT);
        rig_begin(&rig, &quick, IN);
        rig.refuse = true;
        shutdown(rig.bridge, SHUT_RDWR);
        rig_until(&rig, rig.closed == 1);
        ck_assert_int_eq(rig.closed_r, 0);
        /* One ends while nobody listens, the other lives on with its streams. */
        quick.ours[0] = fd_close(quick.ours[0]);
        unsigned dials = rig.dials;
        rig_until(&rig, rig.dials > dials + 2);
        ck_assert_uint_eq(rig.n_exits, 0);
        rig.refuse = false;
        rig_until(&rig, rig.connected == 2);
        ck_assert_int_eq(rig_finish(&rig, &quick), 5);
        ck_assert_int_eq(write(run.ours[0], "still here\n", 11), 11);
        shutdown(run.ours[0], SHUT_WR);
        ck_assert_int_eq(rig_finish(&rig, &run), 4);
        ck_assert_str_eq(run.text[1], "still here\n");
        rig_run_done(&run);
        rig_run_done(&quick);
        rig_teardown(&rig);
}
END_TEST

START_TEST(starts_nothing_for_a_host_that_left) {
        struct rig rig;
        rig_setup(&rig);
        char path[] = "/tmp/sandbar-agent-XXXXXX", line[64];
        close(mkstemp(path));
        snprintf(line, sizeof line, "sleep 1; rm %s", path);
        struct rig_run run = rig_shell(line);
        run.params.stdio[0] = run.params.stdio[1] = run.params.stdio[2] = -1;
        run.ours[0] = run.ours[1] = run.ours[2] = -1;
        gcs_create_process(rig.gcs, &run.params, rig_done, &run.reply);
        gcs_reset(rig.gcs);
        ck_assert(run.reply.done);
        ck_assert_uint_eq(run.reply.hresult, HCS_E_CONNECTION_CLOSED);
        rig_until(&rig, rig.connected == 2);
        rig_until(&rig, !agent_reap(rig.agent));
        ck_assert_int_eq(access(path, F_OK), 0);
        unlink(path);
        rig_teardown(&rig);
}
END_TEST

START_TEST(reports_processes_as_ended_when_the_machine_restarts) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("sleep 100");
        rig_begin(&rig, &run, 0);
        gcs_reset(rig.gcs);
        ck_assert_uint_eq(rig.n_exits, 1);
        ck_assert_int_eq(rig.exits[0].code, GCS_EXIT_UNKNOWN);
        ck_assert_uint_eq(rig.closed, 0);
        kill(-(pid_t)run.reply.pid, SIGKILL);
        rig_until(&rig, rig.connected == 2);
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(lets_a_new_agent_take_over) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_run run = rig_shell("sleep 100");
        rig_begin(&rig, &run, 0);
        struct agent *old = rig.agent;
        rig_start_agent(&rig);
        rig_until(&rig, rig.connected == 2);
        ck_assert_uint_eq(rig.closed, 1);
        /* The new one knows nothing of what the old one started. */
        rig_until(&rig, rig.n_exits == 1);
        ck_assert_int_eq(rig.exits[0].code, GCS_EXIT_UNKNOWN);
        kill(-(pid_t)run.reply.pid, SIGKILL);
        agent_free(old);
        rig_run_done(&run);
        rig_teardown(&rig);
}
END_TEST

START_TEST(passes_a_shutdown_on_and_answers_it) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_reply reply = {0};
        gcs_shutdown(rig.gcs, rig_done, &reply);
        rig_until(&rig, reply.done);
        ck_assert_uint_eq(reply.hresult, 0);
        ck_assert_uint_eq(rig.shutdowns, 1);
        ck_assert(!rig.forced);
        rig_teardown(&rig);
}
END_TEST

START_TEST(takes_a_bridge_that_ends_for_a_yes_to_shutdown) {
        struct rig rig;
        rig_setup(&rig);
        struct rig_reply reply = {0};
        shutdown(rig.bridge, SHUT_RDWR);
        gcs_shutdown(rig.gcs, rig_done, &reply);
        rig_until(&rig, reply.done);
        ck_assert_uint_eq(rig.shutdowns, 0);
        rig_teardown(&rig);
}
END_TEST

START_TEST(refuses_calls_that_nobody_expects) {
        struct rig rig;
        rig_setup(&rig);
        int fd = -2;
        assert_error(gcs_accept(rig.gcs, GCS_STDIO_PORT_0, &fd), -ECONNREFUSED);
        assert_error(gcs_accept(rig.gcs, 0, &fd), -ECONNREFUSED);
        ck_assert_int_eq(fd, -2);
        rig_teardown(&rig);
}
END_TEST

/* ── Faults ────────────────────────────────────────────────────────────────────────────────── */

/* One process with the n-th operation failing: it is answered, and nothing stays behind. */
static bool sweep_once(struct rig *rig, enum fault_kind kind, unsigned n, bool console) {
        size_t before = count_fds();
        struct rig_run run = rig_shell("cat; exit 3");
        run.params.console = console;
        run.params.rows = run.params.columns = 20;
        for (int i = 0; i < 3; i++)
                run.ours[i] = rig_stream(&run.params.stdio[i]);
        fault_arm(kind, n);
        gcs_create_process(rig->gcs, &run.params, rig_done, &run.reply);
        rig_until(rig, run.reply.done);
        if (run.reply.hresult == 0) {
                int32_t code;
                shutdown(run.ours[0], SHUT_WR);
                if (console) /* cat reads on; the hangup ends it */
                        run.ours[1] = fd_close(run.ours[1]);
                rig_until(rig, rig_exit_code(rig, run.reply.pid, &code));
        }
        bool fired = fault_fired(kind);
        fault_arm(kind, 0);
        rig_run_done(&run);
        rig->n_exits = 0;
        rig_until(rig, gcs_is_connected(rig->gcs) && !agent_reap(rig->agent));
        rig_until(rig, count_fds() == before);
        return fired;
}

START_TEST(sweep_of_faults) {
        struct rig rig;
        rig_setup(&rig);
        for (int console = 0; console < 2; console++) {
                unsigned n = 1;
                while (sweep_once(&rig, FAULT_ALLOC, n, console))
                        n++;
                ck_assert_uint_gt(n, 50);
                for (n = 1; sweep_once(&rig, FAULT_FD, n, console); n++)
                        continue;
                ck_assert_uint_gt(n, 5);
        }
        rig_teardown(&rig);
}
END_TEST

TEST_MAIN("agent", runs_a_command_line_and_tells_its_output_and_status,
        passes_arguments_as_they_are, feeds_stdin_and_passes_its_end_on,
        streams_a_mebibyte_both_ways, gives_dev_null_for_streams_that_nobody_wants,
        leaks_no_descriptor_to_the_program, resets_signals_for_the_program,
        uses_the_directory_and_the_environment_that_were_asked_for,
        looks_programs_up_in_the_path_that_was_asked_for, reports_a_missing_program,
        reports_a_program_that_may_not_be_run, reports_a_missing_directory, reports_a_missing_user,
        reports_a_command_that_is_missing_or_not_utf8, becomes_another_user,
        signals_the_whole_process_group, refuses_signals_to_what_does_not_run,
        refuses_a_signal_that_there_is_not, gives_a_terminal_of_the_right_size_and_resizes_it,
        makes_the_terminal_the_controlling_one, loses_nothing_that_a_terminal_printed_last,
        hangs_the_terminal_up_when_the_host_closes_it, refuses_to_resize_what_has_no_terminal,
        runs_many_processes_at_once, refuses_one_process_too_many, reaps_orphans,
        answers_everything_when_the_bridge_is_cut, keeps_processes_over_a_new_bridge,
        starts_nothing_for_a_host_that_left, reports_processes_as_ended_when_the_machine_restarts,
        lets_a_new_agent_take_over, passes_a_shutdown_on_and_answers_it,
        takes_a_bridge_that_ends_for_a_yes_to_shutdown, refuses_calls_that_nobody_expects,
        sweep_of_faults)
