// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: the module's life, and its state in each network namespace.
 *
 * ORDER of leaving, the mirror of init: no new request (family), no new connection (tracepoint), then
 * the namespaces let go of what they still have, then every RCU callback has run. Connections and
 * shadows hold the module, so that rmmod is refused while there are any.
 */
#include <linux/init.h>
#include <linux/rcupdate.h>
#include <linux/rtnetlink.h>

#include "nsr.h"

unsigned int nsr_net_id;

#ifdef NSR_TEST
unsigned int nsr_test_off;
module_param_named(test_off, nsr_test_off, uint, 0644);
MODULE_PARM_DESC(test_off, "rules that are switched off for a test: bits of enum nsr_test");
MODULE_INFO(nsr_test, "Y");
#endif

static int __net_init nsr_net_init(struct net *net)
{
	struct nsr_net *ns = nsr_pernet(net);
	int err;

	ns->net = net;
	mutex_init(&ns->lock);
	INIT_LIST_HEAD(&ns->groups);
	spin_lock_init(&ns->event_lock);
	spin_lock_init(&ns->quick_lock);
	err = nsr_conn_net_init(ns);
	if (err)
		return err;
	nsr_cursor_init(ns);
	nsr_scan_init(ns);
	err = nsr_egress_net_init(ns);
	if (err)
		goto err_conn;
	return 0;

err_conn:
	nsr_conn_net_exit(ns);
	return err;
}

/* Before the namespace's devices go: groups hold one each. */
static void __net_exit nsr_net_exit(struct net *net)
{
	struct nsr_net *ns = nsr_pernet(net);

	nsr_egress_net_exit(ns);
	nsr_group_destroy_all(ns);
	/* ORDER: the cursor work starts scans. */
	nsr_cursor_exit(ns);
	nsr_scan_exit(ns);
	nsr_conn_net_exit(ns);
}

static struct pernet_operations nsr_net_ops = {
	.init = nsr_net_init,
	.exit = nsr_net_exit,
	.id = &nsr_net_id,
	.size = sizeof(struct nsr_net),
};

static int __init nsr_init(void)
{
	int err;

	err = register_pernet_subsys(&nsr_net_ops);
	if (err)
		return err;
	err = nsr_gate_init();
	if (err)
		goto err_pernet;
	err = nsr_shadow_init();
	if (err)
		goto err_gate;
	err = nsr_track_init();
	if (err)
		goto err_shadow;
	err = nsr_netlink_init();
	if (err)
		goto err_track;
	return 0;

err_track:
	nsr_track_exit();
err_shadow:
	nsr_shadow_exit();
err_gate:
	nsr_gate_exit();
err_pernet:
	unregister_pernet_subsys(&nsr_net_ops);
	rcu_barrier();
	return err;
}

static void __exit nsr_exit(void)
{
	nsr_netlink_exit();
	nsr_track_exit();
	nsr_shadow_exit();
	unregister_pernet_subsys(&nsr_net_ops);
	/* After the namespaces: a connection that they let go of may have work. */
	nsr_gate_exit();
	rcu_barrier();
	/*
	 * Who calls setsockopt() reads a socket's operations without a lock, and may have been put aside
	 * between that and the call.
	 */
	synchronize_rcu_tasks();
}

module_init(nsr_init);
module_exit(nsr_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("TCP non-stop routing: connection replication and first-segment adoption");
MODULE_ALIAS_GENL_FAMILY(TCP_NSR_GENL_NAME);
