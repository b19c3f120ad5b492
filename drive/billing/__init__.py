"""Billing: quota and usage."""
