const transactions = {
  title: "Transactions",
};

export default transactions;
