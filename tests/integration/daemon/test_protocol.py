# SPDX-License-Identifier: MIT
"""What the envelope, the params and the handles allow; needs no worker."""

import json

from rpc import (E_INVALIDARG, HCS_E_INVALID_JSON, HCS_E_SYSTEM_NOT_FOUND, HR_INVALID_HANDLE,
                 HR_FILE_NOT_FOUND, Failed, Private, document)


def fails(hresult, client, method, **params):
    try:
        client.call(method, **params)
    except Failed as e:
        assert e.hresult == hresult, f"{method}: 0x{e.hresult:08X} {e.text}"
        assert e.code & 0xFFFFFFFF == hresult
        return e.text
    raise AssertionError(f"{method} did not fail")


def raw(client, message):
    client.raw(message)
    answer = client.receive()
    assert answer["jsonrpc"] == "2.0"
    return answer


def test_answers_bad_lines_and_goes_on():
    daemon = Private()
    c = daemon.client
    for line, code, number in [
            (b"", -32700, None), (b"nonsense", -32700, None), (b"{}", -32600, None),
            (b"[" * 100 + b"]" * 100, -32700, None), (b"\xff", -32700, None),
            (b'{"jsonrpc":"2.0","id":5,"method":"X","params":[]}', -32600, 5),
            (b'{"jsonrpc":"2.0","id":"a","method":"X"}', -32601, "a"),
            (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"X"}', -32700, None)]:
        answer = raw(c, line)
        assert answer["error"]["code"] == code, answer
        assert answer["id"] == number, answer
        assert answer["error"]["data"]["Error"] != 0
    c.raw({"jsonrpc": "2.0", "method": "NoSuchThing"})  # a notification is not answered
    c.raw({"jsonrpc": "2.0", "method": "HcsEnumerateComputeSystems"})
    assert c.call("HcsEnumerateComputeSystems") == {"resultDocument": []}
    assert daemon.end() == 0


def test_says_what_it_speaks():
    daemon = Private()
    for query in [None, {}, {"PropertyTypes": ["Basic"]}, '{"PropertyTypes":["Basic"]}']:
        result = daemon.client.call("HcsGetServiceProperties", propertyQuery=query)
        versions = result["result"]["Properties"][0]["SupportedSchemaVersions"]
        assert {"Major": 2, "Minor": 7} in versions
    fails(0x80070032, daemon.client, "HcsGetServiceProperties",
          propertyQuery={"PropertyTypes": ["Basic", "CpuGroup"]})
    assert daemon.end() == 0


def test_refuses_params_that_it_does_not_know():
    daemon = Private()
    c = daemon.client
    assert "idd" in fails(E_INVALIDARG, c, "HcsOpenComputeSystem", idd="x")
    fails(E_INVALIDARG, c, "HcsStartComputeSystem", computeSystem="1")
    fails(E_INVALIDARG, c, "HcsStartComputeSystem")
    fails(E_INVALIDARG, c, "HcsCreateComputeSystem", configuration=document())
    fails(HCS_E_SYSTEM_NOT_FOUND, c, "HcsOpenComputeSystem", id="x")
    fails(HCS_E_SYSTEM_NOT_FOUND, c, "HcsOpenComputeSystem")
    assert daemon.end() == 0


def test_refuses_handles_that_it_did_not_give():
    daemon = Private()
    for method in ["HcsCloseComputeSystem", "HcsStartComputeSystem", "HcsShutDownComputeSystem",
                   "HcsTerminateComputeSystem", "HcsPauseComputeSystem", "HcsResumeComputeSystem",
                   "HcsCrashComputeSystem", "HcsGetComputeSystemProperties", "HcsCreateProcess",
                   "HcsWaitForComputeSystemExit", "HcsSetComputeSystemCallback", "HcsOpenProcess"]:
        for handle in [0, 1, 2**64 - 1]:
            fails(HR_INVALID_HANDLE, daemon.client, method, computeSystem=handle)
    for method in ["HcsCloseProcess", "HcsSignalProcess", "HcsTerminateProcess", "HcsModifyProcess",
                   "HcsGetProcessProperties", "HcsWaitForProcessExit", "HcsSetProcessCallback"]:
        fails(HR_INVALID_HANDLE, daemon.client, method, process=1)
    assert daemon.end() == 0


def test_refuses_bad_documents_with_their_place():
    daemon = Private()
    c = daemon.client
    good = document()
    bad = json.loads(json.dumps(good))
    bad["VirtualMachine"]["StopOnReset"] = "yes"
    text = fails(HCS_E_INVALID_JSON, c, "HcsCreateComputeSystem", id="a", configuration=bad)
    assert "$.VirtualMachine.StopOnReset" in text, text
    text = fails(HCS_E_INVALID_JSON, c, "HcsCreateComputeSystem", id="a",
                 configuration=json.dumps(bad))
    assert "$.VirtualMachine.StopOnReset" in text, text
    fails(HCS_E_INVALID_JSON, c, "HcsCreateComputeSystem", id="a", configuration="{")
    fails(HCS_E_INVALID_JSON, c, "HcsCreateComputeSystem", id="a")
    assert c.call("HcsEnumerateComputeSystems") == {"resultDocument": []}
    assert daemon.end() == 0


def test_names_a_kernel_that_is_not_there():
    daemon = Private()
    c = daemon.client
    text = fails(HR_FILE_NOT_FOUND, c, "HcsCreateComputeSystem", id="a",
                 configuration=document(kernel="/nonexistent/kernel"))
    assert "/nonexistent/kernel" in text
    text = fails(HR_FILE_NOT_FOUND, c, "HcsCreateComputeSystem", id="a",
                 configuration=document(initrd="/nonexistent/initrd"))
    assert "/nonexistent/initrd" in text
    fails(E_INVALIDARG, c, "HcsCreateComputeSystem", id="", configuration=document())
    fails(E_INVALIDARG, c, "HcsCreateComputeSystem", id="x" * 128, configuration=document())
    assert c.call("HcsEnumerateComputeSystems") == {"resultDocument": []}
    assert daemon.end() == 0
