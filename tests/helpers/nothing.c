/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest workload: nothing, successfully. */
int main(void)
{
	return 0;
}
